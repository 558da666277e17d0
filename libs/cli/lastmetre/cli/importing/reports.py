"""From a row to the report that its channel would have sent."""

from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from lastmetre.cli.importing.mapping import ChannelColumn, ContactColumns, PositionColumns
from lastmetre.cli.importing.mapping import Mapping as FileMapping
from lastmetre.cli.importing.times import Moment, read_time
from lastmetre.common.contracts.base import Channel, Code, Language, Origin
from lastmetre.common.contracts.reports import (
    ReportSubmitted,
    SubmittedContact,
    SubmittedPosition,
)
from lastmetre.common.kafka.codec import describe
from lastmetre.common.tables.reading import Cells, Row

_CODE: Final[TypeAdapter[str]] = TypeAdapter(Code)


class Unusable(ValueError):
    """What is wrong with a row, for a person."""


class Prepared(NamedTuple):
    """A report ready to be sent, where it stands in the file, and what is doubtful about it."""

    line: int
    channel: Channel
    report: ReportSubmitted
    doubt: str | None

    @property
    def identity(self) -> tuple[Channel, str]:
        """With the channel's sender, which report it is."""
        return self.channel, self.report.source_id


def prepare(row: Row, mapping: FileMapping, *, live: bool) -> Prepared:
    """The report in a row. Raises Unusable.

    `live`: it happens now, so its time is when intake receives it, and a repetition stays the same.
    """
    if row.problem:
        raise Unusable(row.problem)
    cells = row.cells
    moment = None if live else time_in(cells, mapping.reported_at, mapping)
    try:
        report = ReportSubmitted(
            source_id=source_id_in(cells, mapping),
            reported_at=moment.at if moment else None,
            sub_channel=_optional(cells, mapping.sub_channel),
            category=_optional(cells, mapping.category),
            text=_optional(cells, mapping.text),
            address=_optional(cells, mapping.address),
            position=_position(cells, mapping.position) if mapping.position else None,
            contact=_contact(cells, mapping.contact) if mapping.contact else None,
            origin=Origin.LIVE if live else Origin.IMPORT,
        )
    except ValidationError as error:
        raise Unusable(describe(error)) from error
    return Prepared(row.line, channel_in(cells, mapping), report, moment.doubt if moment else None)


def source_id_in(cells: Cells, mapping: FileMapping) -> str:
    """The report's id at its sender. Raises Unusable if there is none."""
    found = cells[mapping.source_id]
    if not found:
        raise Unusable(f"{mapping.source_id} is empty")
    try:
        return _CODE.validate_python(found)
    except ValidationError as error:
        raise Unusable(f"{mapping.source_id}: {error.errors()[0]['msg']}") from error


def channel_in(cells: Cells, mapping: FileMapping) -> Channel:
    """The channel that the report came by. Raises Unusable for one that is not mapped."""
    chosen = mapping.channel
    if not isinstance(chosen, ChannelColumn):
        return chosen
    found = chosen.values.get(cells[chosen.column])
    if found is None:
        raise Unusable(f"{chosen.column} is {cells[chosen.column]!r}, which channel.values lacks")
    return found


def time_in(cells: Cells, column: str, mapping: FileMapping) -> Moment:
    """The instant in a column. Raises Unusable."""
    if not cells[column]:
        raise Unusable(f"{column} is empty")
    try:
        return read_time(cells[column], mapping.times)
    except ValueError as error:
        raise Unusable(f"{column}: {error}") from error


def _optional(cells: Cells, column: str | None) -> str | None:
    return cells[column] or None if column else None


def _position(cells: Cells, columns: PositionColumns) -> SubmittedPosition | None:
    latitude, longitude = cells[columns.latitude], cells[columns.longitude]
    if not latitude and not longitude:
        return None
    try:
        # Python takes 1_000 for a number.
        if "_" in latitude + longitude:
            raise ValueError("no number")
        degrees = float(latitude), float(longitude)
    except ValueError as error:
        raise Unusable(
            f"{columns.latitude}, {columns.longitude}: {latitude!r}, {longitude!r} are not degrees"
        ) from error
    return SubmittedPosition(latitude=degrees[0], longitude=degrees[1], datum=columns.datum)


def _contact(cells: Cells, columns: ContactColumns) -> SubmittedContact | None:
    contact = SubmittedContact(
        name=_optional(cells, columns.name),
        phone=_optional(cells, columns.phone),
        email=_optional(cells, columns.email),
        language=columns.language,
    )
    nobody = SubmittedContact(language=Language.CHINESE)
    return None if contact == nobody else contact
