"""The mapping file: where a report's fields stand in what a partner sends, and how he writes them.

Unknown keys in it are mistakes. A name is a column's in a table, a JMESPath expression in JSON.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from lastmetre.common.contracts.base import Channel, Language, ShortText
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.contracts.requests import Action
from lastmetre.common.tables.reading import UTF8

SAMPLE: Final = datetime(2018, 1, 31, 13, 5, tzinfo=UTC)
RFC_3339: Final = "rfc3339"
UNIX: Final = {"unix seconds": 1, "unix milliseconds": 1000}
"""Counted since 1970 in UTC, by how many there are in a second."""

Place = tuple[int | str, ...]
"""The keys that lead to something in the file."""


def is_local(pattern: str) -> bool:
    """Whether times written so need a zone to be instants."""
    return pattern != RFC_3339 and pattern not in UNIX and "%z" not in pattern


def _format(pattern: str) -> str:
    """A format that loses the half of the day or the minutes would move every time."""
    if pattern == RFC_3339 or pattern in UNIX:
        return pattern
    try:
        read = datetime.strptime(SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007
    except ValueError as error:
        raise ValueError(
            f"no format for times: {RFC_3339}, {', '.join(UNIX)}, or as '%m/%d/%Y %I:%M:%S %p' is"
        ) from error
    if read.replace(tzinfo=UTC) != SAMPLE:
        raise ValueError("loses a part of the time: it needs date, hour (with %I also %p), minute")
    return pattern


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _one_or_table(value: Any) -> str:
    return "(by value)" if isinstance(value, dict) else "(one)"


Name = Annotated[str, AfterValidator(lambda name: " ".join(name.split())), Field(min_length=1)]
Names = Annotated[tuple[Name, ...], BeforeValidator(_several), Field(min_length=1)]
Formats = Annotated[
    tuple[Annotated[str, AfterValidator(_format)], ...],
    BeforeValidator(_several),
    Field(min_length=1),
]


class Strict(BaseModel):
    """A part of the mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Times(Strict):
    """How times are written: the first of several formats that fits; local ones are the zone's."""

    zone: ZoneInfo | None = None
    format: Formats

    @model_validator(mode="after")
    def _local_ones_have_a_zone(self) -> Self:
        if self.zone is None and any(map(is_local, self.format)):
            raise ValueError("local times need a zone, as Asia/Shanghai is")
        return self


class TextFrom(Strict):
    """A text that stands in several places, or is written in the partner's own values.

    `join` is put between what is not empty. A text that `values` lacks becomes `otherwise`, and
    stays as it is without.
    """

    from_: Names = Field(alias="from")
    join: str | None = None
    values: dict[str, str] | None = None
    otherwise: str | None = None


class Constant(Strict):
    """The same for every report."""

    value: ShortText


def _kind_of_text(value: Any) -> str:
    if not isinstance(value, dict):
        return "(name)"
    return "(constant)" if "value" in value else "(from)"


Text = Annotated[
    Annotated[Name, Tag("(name)")]
    | Annotated[TextFrom, Tag("(from)")]
    | Annotated[Constant, Tag("(constant)")],
    Discriminator(_kind_of_text),
]


class ByValue(Strict):
    """One of ours, by what stands in a place. A value that the table lacks is `otherwise`."""

    from_: Name = Field(alias="from")


class DatumByValue(ByValue):
    """The datum by what stands in a place."""

    values: Annotated[dict[str, Datum], Field(min_length=1)]
    otherwise: Datum | None = None


class LanguageByValue(ByValue):
    """The language by what stands in a place."""

    values: Annotated[dict[str, Language], Field(min_length=1)]
    otherwise: Language | None = None


Unit = Literal["metres", "kilometres", "centimetres", "feet"]
METRES: Final[dict[Unit, float]] = {
    "metres": 1.0,
    "kilometres": 1000.0,
    "centimetres": 0.01,
    "feet": 0.3048,
}


class UnitByValue(ByValue):
    """The unit of a length by what stands in a place."""

    values: Annotated[dict[str, Unit], Field(min_length=1)]
    otherwise: Unit | None = None


OneDatum = Annotated[
    Annotated[Datum, Tag("(one)")] | Annotated[DatumByValue, Tag("(by value)")],
    Discriminator(_one_or_table),
]
OneLanguage = Annotated[
    Annotated[Language, Tag("(one)")] | Annotated[LanguageByValue, Tag("(by value)")],
    Discriminator(_one_or_table),
]
OneUnit = Annotated[
    Annotated[Unit, Tag("(one)")] | Annotated[UnitByValue, Tag("(by value)")],
    Discriminator(_one_or_table),
]


class Accuracy(Strict):
    """The radius of doubt around a position."""

    from_: Name = Field(alias="from")
    unit: OneUnit = "metres"


A_DEGREE: Final = {"degrees": 1, "microdegrees": 1_000_000}


class PositionPlaces(Strict):
    """Where a point stands: latitude and longitude apart, or a pair such as "113.75,23.02"."""

    latitude: Name | None = None
    longitude: Name | None = None
    pair: Name | None = None
    order: Literal["latitude longitude", "longitude latitude"] | None = None
    unit: Literal["degrees", "microdegrees"] = "degrees"
    datum: OneDatum = Datum.WGS84
    accuracy: Accuracy | None = None

    @model_validator(mode="after")
    def _one_way_to_write_it(self) -> Self:
        apart = self.latitude is not None and self.longitude is not None
        pair = self.pair is not None and self.order is not None
        named = [each for each in (self.latitude, self.longitude, self.pair, self.order) if each]
        if len(named) != 2 or apart == pair:
            raise ValueError("a position is latitude and longitude, or pair and order")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Of what holds the degrees."""
        return tuple(each for each in (self.latitude, self.longitude, self.pair) if each)

    @property
    def halves(self) -> tuple[str, ...]:
        """Which of the two comes first."""
        return tuple((self.order or "latitude longitude").split())


class ContactPlaces(Strict):
    """How to reach the reporter; goes to the vault. `language` is that of his messages."""

    name: Text | None = None
    phone: Text | None = None
    email: Text | None = None
    language: OneLanguage = Language.CHINESE


class ChannelColumn(Strict):
    """The channel of a row, by what stands in a column."""

    column: Name
    values: Annotated[dict[str, Channel], Field(min_length=1)]


ReplayedAction = Literal[Action.RESOLVE, Action.CANCEL] | None


class Replay(Strict):
    """What was done about it, by what stands in `column`, at the time in the column `at`.

    `cancel` takes the value itself as its reason; a value with null has nothing to be replayed.
    """

    column: Name
    at: Name
    steps: Annotated[dict[ShortText, ReplayedAction], Field(min_length=1)]


class Mapping(Strict):
    """What every mapping says. `version` is raised with each change of what it means."""

    FIELDS: ClassVar = ("source_id", "reported_at", "sub_channel", "category", "text", "address")

    version: int = Field(default=1, ge=1)
    keep_sent: bool = True
    source_id: Text
    sub_channel: Text | None = None
    category: Text | None = None
    text: Text | None = None
    address: Text | None = None
    position: PositionPlaces | None = None
    contact: ContactPlaces | None = None

    def names(self) -> Iterator[tuple[Place, str]]:
        """Every name that it uses, with its place."""
        for field in self.FIELDS:
            yield from _names_in((field,), getattr(self, field))
        yield from self._more_names()
        for part in ("position", "contact"):
            yield from _names_in((part,), getattr(self, part))

    def _more_names(self) -> Iterator[tuple[Place, str]]:
        return iter(())


class JsonMapping(Mapping):
    """JSON: by HTTP, in Kafka records, in files. Without `reported_at` the time of receipt counts;
    the channel is that of the key or topic."""

    reads: Literal["json"]
    times: Times = Times(format=(RFC_3339,))
    reported_at: Name | None = None


ByRow = Annotated[
    Annotated[Channel, Tag("(one)")] | Annotated[ChannelColumn, Tag("(by value)")],
    Discriminator(_one_or_table),
]


class TableMapping(Mapping):
    """A file with a header. A workbook has no encoding, no delimiter."""

    reads: Literal["table"] = "table"
    encoding: str = UTF8
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n\x00]$')] = ","
    times: Times
    reported_at: Name
    channel: ByRow
    replay: Replay | None = None

    def columns(self) -> list[str]:
        """Every column that it names."""
        return list(dict.fromkeys(name for _, name in self.names()))

    def _more_names(self) -> Iterator[tuple[Place, str]]:
        if isinstance(self.channel, ChannelColumn):
            yield ("channel", "column"), self.channel.column
        if self.replay:
            yield ("replay", "column"), self.replay.column
            yield ("replay", "at"), self.replay.at


_NAMING: Final = ("from_", "latitude", "longitude", "pair", "name", "phone", "email")


def _names_in(place: Place, part: Any) -> Iterator[tuple[Place, str]]:
    if isinstance(part, str) and not isinstance(part, Datum | Language):
        yield place, part
    elif isinstance(part, Strict):
        for key in type(part).model_fields:
            value = getattr(part, key)
            if key == "from_" and isinstance(value, tuple):
                yield from (((*place, "from", at), name) for at, name in enumerate(value))
            elif key == "from_":
                yield (*place, "from"), value
            elif isinstance(value, Strict) or key in _NAMING:
                yield from _names_in((*place, key), value)
