"""The mapping file: which column of a file means what. Unknown keys in it are mistakes."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
)

from lastmetre.cli.console import UsedWrongly
from lastmetre.common.contracts.base import Channel, Language, ShortText
from lastmetre.common.contracts.reports import Datum
from lastmetre.common.contracts.requests import Action
from lastmetre.common.tables.reading import UTF8

SAMPLE: Final = datetime(2018, 1, 31, 13, 5, tzinfo=UTC)
MAXIMUM_SHOWN: Final = 20


def _format(pattern: str) -> str:
    """A format that loses the half of the day or the minutes would move every time."""
    try:
        read = datetime.strptime(SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007
    except ValueError as error:
        raise ValueError("no format for times, as '%m/%d/%Y %I:%M:%S %p' is") from error
    if read.replace(tzinfo=UTC) != SAMPLE:
        raise ValueError("loses a part of the time: it needs date, hour (with %I also %p), minute")
    return pattern


Column = Annotated[str, AfterValidator(lambda name: " ".join(name.split())), Field(min_length=1)]


class Strict(BaseModel):
    """A part of the mapping."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ChannelColumn(Strict):
    """The channel of a row, by what stands in a column."""

    column: Column
    values: Annotated[dict[str, Channel], Field(min_length=1)]


class Times(Strict):
    """How the file writes times: local ones of a zone, unless the format has %z."""

    zone: ZoneInfo
    format: Annotated[str, AfterValidator(_format)]


class PositionColumns(Strict):
    """Degrees."""

    latitude: Column
    longitude: Column
    datum: Datum = Datum.WGS84


class ContactColumns(Strict):
    """How to reach the reporter; goes to the vault. `language` is that of his messages."""

    name: Column | None = None
    phone: Column | None = None
    email: Column | None = None
    language: Language = Language.CHINESE


ReplayedAction = Literal[Action.RESOLVE, Action.CANCEL] | None


class Replay(Strict):
    """What was done about it, by what stands in `column`, at the time in the column `at`.

    `cancel` takes the value itself as its reason; a value with null has nothing to be replayed.
    """

    column: Column
    at: Column
    steps: Annotated[
        dict[ShortText, Literal[Action.RESOLVE, Action.CANCEL] | None], Field(min_length=1)
    ]


ByRow = Annotated[
    Annotated[Channel, Tag("(one)")] | Annotated[ChannelColumn, Tag("(by column)")],
    Discriminator(lambda value: "(by column)" if isinstance(value, dict) else "(one)"),
]


class Mapping(Strict):
    """What the columns of a file with a header mean. A workbook has no encoding, no delimiter."""

    encoding: str = UTF8
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n\x00]$')] = ","
    times: Times
    source_id: Column
    channel: ByRow
    sub_channel: Column | None = None
    reported_at: Column
    category: Column | None = None
    text: Column | None = None
    address: Column | None = None
    position: PositionColumns | None = None
    contact: ContactColumns | None = None
    replay: Replay | None = None

    def columns(self) -> list[str]:
        """Every column that it names."""
        named = [self.source_id, self.reported_at]
        named += [
            each for each in (self.sub_channel, self.category, self.text, self.address) if each
        ]
        if isinstance(self.channel, ChannelColumn):
            named.append(self.channel.column)
        if self.position:
            named += [self.position.latitude, self.position.longitude]
        if self.contact:
            contact = self.contact
            named += [each for each in (contact.name, contact.phone, contact.email) if each]
        if self.replay:
            named += [self.replay.column, self.replay.at]
        return list(dict.fromkeys(named))


def read_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file. Raises UsedWrongly that names the places of its mistakes."""
    try:
        text = path.read_text("utf-8-sig")
        node = yaml.compose(text, yaml.SafeLoader)
        held = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise UsedWrongly(f"{path} is not text in UTF-8: {error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise UsedWrongly(f"{path}{where}: {getattr(error, 'problem', error)}") from error
    problems = [f"line {line}: {key!r} stands there twice" for line, key in _twice(node)]
    try:
        mapping = Mapping.model_validate(held)
    except ValidationError as error:
        problems += [_told(node, each["loc"], each["msg"]) for each in error.errors()]
    if problems:
        raise UsedWrongly(
            f"{len(problems)} mistakes in the mapping {path}:\n  "
            + "\n  ".join(problems[:MAXIMUM_SHOWN]),
            "deploy/mappings/la311.yaml is one that works.",
        )
    return mapping


def _told(node: Any, place: Sequence[int | str], message: str) -> str:
    """A mistake with its line and the keys that lead there."""
    line, keys = (node.start_mark.line if node else 0), []
    for step in place:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.value == str(step):
                node, line = value, key.start_mark.line
                keys.append(str(step))
                break
        else:
            # A key that is missing, or a name that pydantic gave to one of several kinds.
            if step == place[-1]:
                keys.append(str(step))
    return f"line {line + 1}, {'.'.join(keys) or 'the whole'}: {message}"


def _twice(node: Any) -> Iterator[tuple[int, str]]:
    """Keys that YAML would silently let the last one of win."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, value in node.value:
        if key.value in seen:
            yield key.start_mark.line + 1, key.value
        seen.add(key.value)
        yield from _twice(value)
