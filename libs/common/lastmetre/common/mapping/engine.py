"""The engine: from what a partner sends to the report that our own API would take. Pure."""

from collections.abc import Callable, Iterator
from collections.abc import Mapping as Document
from typing import Any, Final, NamedTuple

import jmespath
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from lastmetre.common.contracts.base import LARGEST_ACCURACY, Channel, Code, Language, Origin
from lastmetre.common.contracts.reports import SENT_LENGTH, ReportSubmitted
from lastmetre.common.mapping.model import (
    A_DEGREE,
    METRES,
    ByValue,
    ChannelColumn,
    Constant,
    JsonMapping,
    PositionPlaces,
    TableMapping,
    Text,
    TextFrom,
)
from lastmetre.common.mapping.times import Moment, NoTime, read_time
from lastmetre.common.mapping.values import Unusable, Words, as_text, cell, degrees, number

_JOINS: Final = {"contact.phone": "、"}
"""Between numbers, which are looked for apart; else it is a space."""
_CODE: Final[TypeAdapter[str]] = TypeAdapter(Code)


class Field(NamedTuple):
    """What became of a field of ours: `made` None where nothing was sent, or it cannot be used.

    With `mistake` there is no report; with `lost` there is one without this field.
    """

    name: str
    places: tuple[str, ...]
    sent: str | None
    made: Any = None
    mistake: Words | None = None
    lost: Words | None = None
    doubt: str | None = None


class Reading(NamedTuple):
    """The report, or None with the mistakes among the fields; the channel, where a row says it."""

    report: ReportSubmitted | None
    fields: tuple[Field, ...]
    channel: Channel | None = None

    @property
    def mistakes(self) -> list[Field]:
        """The fields that keep it from being a report."""
        return [each for each in self.fields if each.mistake]


class Reader:
    """Reads documents (a row's cells, a JSON object) as a mapping says. `read_by` names it."""

    def __init__(self, mapping: JsonMapping | TableMapping, read_by: str) -> None:
        self.mapping = mapping
        self.read_by = read_by
        in_json = isinstance(mapping, JsonMapping)
        self._gets: dict[str, Callable[[Any], Any]] = {
            name: jmespath.compile(name).search if in_json else cell(name)
            for _, name in mapping.names()
        }

    def read(
        self, document: Document[str, Any], *, own_time: bool = True, origin: Origin = Origin.LIVE
    ) -> Reading:
        """The report in a document. Without `own_time` it happens now, whatever it says."""
        fields = list(self._fields(document, own_time=own_time))
        channel = None
        held: dict[str, Any] = {"origin": origin, "read_by": self.read_by}
        for each in fields:
            if each.name == "channel":
                channel = each.made
            elif each.made is not None:
                _put(held, each.name, each.made)
        if self.mapping.keep_sent:
            sent = to_json(document).decode()
            if len(sent) > SENT_LENGTH:
                words = Words("the whole", f" is longer than {SENT_LENGTH:,} characters")
                fields.append(Field("sent", (), None, None, words))
            held["sent"] = sent
        if held.get("contact") == {"language": Language.CHINESE}:
            del held["contact"]
        if any(each.mistake for each in fields):
            return Reading(None, tuple(fields), channel)
        try:
            return Reading(ReportSubmitted.model_validate(held), tuple(fields), channel)
        except ValidationError as error:
            return Reading(None, tuple(_with_mistakes(fields, error)), channel)

    def places(self, field: str) -> tuple[str, ...]:
        """Where a field of ours, or what it is a part of, stands in what is sent."""
        return tuple(
            dict.fromkeys(
                name
                for place, name in self.mapping.names()
                if ".".join(map(str, place)).startswith(field)
            )
        )

    # --- fields

    def _fields(self, document: Document[str, Any], *, own_time: bool) -> Iterator[Field]:
        mapping = self.mapping
        yield self._source_id(document)
        if own_time and mapping.reported_at is not None:
            yield self._instant(mapping.reported_at, document)
        if isinstance(mapping, TableMapping):
            yield self._channel(mapping, document)
        for name in ("sub_channel", "category", "text", "address"):
            where = getattr(mapping, name)
            if where is not None:
                yield self._text(name, where, document)
        if mapping.position:
            yield from self._position(mapping.position, document)
        if contact := mapping.contact:
            for name in ("name", "phone", "email"):
                where = getattr(contact, name)
                if where is not None:
                    yield self._text(f"contact.{name}", where, document)
            yield self._chosen("contact.language", contact.language, document)

    def _source_id(self, document: Document[str, Any]) -> Field:
        found = self._text("source_id", self.mapping.source_id, document)
        label = ", ".join(found.places)
        if found.made is None:
            return found._replace(mistake=found.mistake or Words(label, " is empty"))
        try:
            _CODE.validate_python(found.made)
        except ValidationError as error:
            return found._replace(made=None, mistake=Words(f"{label}: ", error.errors()[0]["msg"]))
        return found

    def identity(self, document: Document[str, Any]) -> tuple[Channel | None, str]:
        """Which report it is: the channel, where a row says it, and its id at its sender.

        Raises Unusable.
        """
        channel, source_id = None, self._source_id(document)
        if source_id.mistake:
            raise Unusable(source_id.mistake)
        if isinstance(self.mapping, TableMapping):
            found = self._channel(self.mapping, document)
            if found.mistake:
                raise Unusable(found.mistake)
            channel = found.made
        return channel, source_id.made

    def said_id(self, document: Document[str, Any]) -> str:
        """What stands where the id should: for telling which document it was."""
        return self._text("source_id", self.mapping.source_id, document).sent or ""

    def time_at(self, name: str, document: Document[str, Any]) -> Moment:
        """The instant in a place that has to have one. Raises Unusable."""
        text = self._plain(name, document)
        if not text:
            raise Unusable(Words(name, " is empty"))
        try:
            return read_time(text, self.mapping.times)
        except NoTime as error:
            raise Unusable(Words(f"{name}: ", error.words, (text,))) from error

    def _instant(self, name: str, document: Document[str, Any]) -> Field:
        sent = None
        try:
            sent = self._plain(name, document) or None
            if sent is None and isinstance(self.mapping, JsonMapping):
                return Field("reported_at", (name,), None)
            moment = self.time_at(name, document)
        except Unusable as error:
            return Field("reported_at", (name,), sent, None, error.words)
        return Field("reported_at", (name,), sent, moment.at, doubt=moment.doubt)

    def _channel(self, mapping: TableMapping, document: Document[str, Any]) -> Field:
        chosen = mapping.channel
        if not isinstance(chosen, ChannelColumn):
            return Field("channel", (), None, chosen)
        sent = self._plain(chosen.column, document)
        found = chosen.values.get(sent)
        lacks = Words(chosen.column, " is {}, which channel.values lacks", (sent,))
        return Field("channel", (chosen.column,), sent, found, None if found else lacks)

    def _text(self, field: str, where: Text, document: Document[str, Any]) -> Field:
        if isinstance(where, Constant):
            return Field(field, (), None, where.value)
        places, table = (where.from_, where) if isinstance(where, TextFrom) else ((where,), None)
        usual = _JOINS.get(field, " ")
        try:
            parts = [self._plain(name, document, usual) for name in places]
        except Unusable as error:
            return Field(field, places, None, None, error.words)
        join = usual if table is None or table.join is None else table.join
        sent = join.join(filter(None, parts)) or None
        if sent is None or table is None or table.values is None:
            return Field(field, places, sent, sent)
        made = table.values.get(sent, table.otherwise)
        if made is None:
            doubt = f"{', '.join(places)}: {field}.values lacks it; kept as it is"
            return Field(field, places, sent, sent, doubt=doubt)
        return Field(field, places, sent, made)

    def _position(self, where: PositionPlaces, document: Document[str, Any]) -> Iterator[Field]:
        label = ", ".join(where.names)
        sent: tuple[str, ...] = ()
        try:
            sent = self._halves(where, document)
            if not any(sent):
                yield Field("position", where.names, None)
                return
            point = dict(zip(where.halves, degrees(label, sent, A_DEGREE[where.unit]), strict=True))
        except Unusable as error:
            yield Field("position", where.names, ", ".join(sent) or None, None, None, error.words)
            return
        datum = self._chosen("position.datum", where.datum, document)
        if datum.made is None:
            yield Field("position", where.names, ", ".join(sent) or None, None, None, datum.lost)
            return
        yield Field("position", where.names, ", ".join(sent) or None, point)
        yield datum
        if where.accuracy:
            yield self._accuracy(where, document)

    def _halves(self, where: PositionPlaces, document: Document[str, Any]) -> tuple[str, ...]:
        """The two as they were sent, in that order."""
        if where.pair is None:
            return tuple(self._plain(name, document) for name in where.names)
        return tuple(self._plain(where.pair, document, ",").replace(",", " ").split())

    def _accuracy(self, where: PositionPlaces, document: Document[str, Any]) -> Field:
        assert where.accuracy
        name, field = where.accuracy.from_, "position.accuracy_metres"
        unit = self._chosen(field, where.accuracy.unit, document)
        sent = None
        try:
            sent = self._plain(name, document) or None
            if sent is None or unit.made is None:
                return Field(field, (name,), sent, None, None, unit.lost)
            metres = number(name, sent) * METRES[unit.made]
            if not 0 <= metres <= LARGEST_ACCURACY:  # devices write -1 for "not known"
                raise Unusable(Words(name, ": {} is no accuracy", (sent,)))
            return Field(field, (name,), sent, metres)
        except Unusable as error:
            return Field(field, (name,), sent, None, None, error.words)

    def _chosen(self, field: str, choice: Any, document: Document[str, Any]) -> Field:
        """One of ours: the same always, or by what stands in a place."""
        if not isinstance(choice, ByValue):
            return Field(field, (), None, choice)
        name = choice.from_
        try:
            sent = self._plain(name, document)
        except Unusable as error:
            return Field(field, (name,), None, None, None, error.words)
        table: Any = choice
        made = table.values.get(sent, table.otherwise)
        lacks = Words(name, f" is {{}}, which {field}.values lacks", (sent,))
        return Field(field, (name,), sent or None, made, None, None if made else lacks)

    def _plain(self, name: str, document: Document[str, Any], join: str = " ") -> str:
        """What stands in a place, as text; empty for nothing. Raises Unusable."""
        try:
            found = self._gets[name](document)
        except (ArithmeticError, TypeError, ValueError) as error:  # JMESPathError among them
            raise Unusable(Words(name, " cannot be worked out of this document")) from error
        try:
            return as_text(found, join)
        except TypeError as error:
            raise Unusable(Words(name, " is an object, no text")) from error


def _put(held: dict[str, Any], name: str, made: Any) -> None:
    outer, _, inner = name.partition(".")
    if inner:
        held.setdefault(outer, {})[inner] = made
    elif isinstance(made, dict):
        held.setdefault(outer, {}).update(made)
    else:
        held[outer] = made


def _with_mistakes(fields: list[Field], error: ValidationError) -> Iterator[Field]:
    """The fields, those named by the contract's refusals with what it says of them."""
    said: dict[int, Words] = {}
    for each in error.errors(include_url=False, include_context=False, include_input=False):
        path = ".".join(map(str, each["loc"]))
        index = max(
            (at for at, field in enumerate(fields) if path.startswith(field.name)),
            key=lambda at: len(fields[at].name),
            default=0,
        )
        label = ", ".join(fields[index].places)
        said.setdefault(
            index, Words(f"{label}, as {path}: " if label else f"{path}: ", each["msg"])
        )
    for index, field in enumerate(fields):
        yield field._replace(mistake=said[index], made=None) if index in said else field
