"""Reads a mapping file, and tells its mistakes with the lines where they stand."""

import hashlib
import json
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple

import jmespath
import yaml
from jmespath.exceptions import JMESPathError
from pydantic import ValidationError

from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.model import (
    Accuracy,
    ChannelColumn,
    Constant,
    ContactPlaces,
    DatumByValue,
    JsonMapping,
    Mapping,
    Place,
    PositionPlaces,
    Replay,
    Strict,
    TableMapping,
    TextFrom,
    Times,
)
from lastmetre.common.mapping.problems import MappingError

DIGEST_LETTERS: Final = 12
NAME_LETTERS: Final = 60
_PARTS: Final[dict[str, tuple[type[Strict], ...]]] = {
    "times": (Times,),
    "position": (PositionPlaces,),
    "accuracy": (Accuracy,),
    "contact": (ContactPlaces,),
    "channel": (ChannelColumn,),
    "replay": (Replay,),
}
_OTHERS: Final = (TextFrom, Constant, DatumByValue)


class MappingFile(NamedTuple):
    """A mapping, and what its reports say they were read by: name, version, digest of what it
    says. So two files of one name and version can be told apart."""

    mapping: JsonMapping | TableMapping
    read_by: str

    def reader(self) -> Reader:
        """The engine for it."""
        return Reader(self.mapping, self.read_by)


def read_mapping(path: Path) -> MappingFile:
    """The mapping in a YAML file. Raises OSError, or MappingError with all mistakes and lines."""
    try:
        text = path.read_text("utf-8-sig")
        node = yaml.compose(text, yaml.SafeLoader)
        held = yaml.safe_load(text)
    except UnicodeDecodeError as error:
        raise MappingError(str(path), [f"is not text in UTF-8: {error}"]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark else ""
        raise MappingError(str(path), [f"{where}{getattr(error, 'problem', error)}"]) from error
    problems = [f"line {line}: {key!r} stands there twice" for line, key in _twice(node)]
    mapping = None
    try:
        mapping = _kind_of(held).model_validate(held)
    except ValidationError as error:
        for each in error.errors():
            near = _near(each["loc"], held) if each["type"] == "extra_forbidden" else ""
            problems.append(_told(node, each["loc"], _plain(each) + near))
    if isinstance(mapping, JsonMapping):
        problems += [_told(node, *each) for each in _no_expressions(mapping)]
    if problems or mapping is None:
        raise MappingError(str(path), problems)
    digest = hashlib.sha256(json.dumps(held, sort_keys=True, default=str).encode()).hexdigest()
    name = f"{path.stem[:NAME_LETTERS]}/{mapping.version}/{digest[:DIGEST_LETTERS]}"
    return MappingFile(mapping, name)


def _kind_of(held: Any) -> type[JsonMapping] | type[TableMapping]:
    reads = held.get("reads") if isinstance(held, dict) else None
    return JsonMapping if reads == "json" else TableMapping


def _plain(error: Any) -> str:
    message: str = error["msg"]
    if error["type"] == "string_type":
        message += "; a number, yes, no or null stands in quotes to be one"
    return message.removeprefix("Value error, ")


def _near(place: Place, held: Any) -> str:
    """What an unknown key may be meant to be."""
    inside = [str(each) for each in place[:-1] if not str(each).startswith("(")]
    kinds = _PARTS.get(inside[-1], _OTHERS) if inside else (_kind_of(held),)
    known = [field.alias or name for kind in kinds for name, field in kind.model_fields.items()]
    found = get_close_matches(str(place[-1]), known, 1)
    return f"; did you mean {found[0]!r}?" if found else f"; known are {', '.join(known)}"


def _no_expressions(mapping: Mapping) -> Iterator[tuple[Place, str]]:
    """The names that are no JMESPath."""
    for place, name in mapping.names():
        try:
            jmespath.compile(name)
        except JMESPathError as error:
            message = f"{name!r} is no JMESPath: {str(error).splitlines()[0].rstrip(':')}"
            if not name.isascii():
                message += "; a key that is not of ASCII letters stands in double quotes inside"
                message += " single ones, as '\"工单编号\"'"
            yield place, message


def _told(node: Any, place: Place, message: str) -> str:
    """A mistake with its line and the keys that lead there."""
    line, keys = (node.start_mark.line if node else 0), []
    for step in place:
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if key.value == str(step):
                node, line = value, key.start_mark.line
                keys.append(str(step))
                break
        else:
            # A key that is missing, a place in a list, or a name that pydantic gave to one of
            # several kinds.
            if isinstance(step, int) and isinstance(node, yaml.SequenceNode):
                node = node.value[step]
                line = node.start_mark.line
            elif step == place[-1] and not str(step).startswith("("):
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
