"""What a change of the contracts means for a reader that is older.

Everything that was ever written must stay readable: what breaks that needs a new version.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple

Schema = Mapping[str, Any]

_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


class Meaning(StrEnum):
    """What a reader does that was built before the change, on a topic of our own. What a partner
    sends and we cannot read is a dead letter."""

    PASSES_OVER = "an older reader passes over it"
    WAITS = "consumers first: an older reader's partition waits at it"
    CANNOT_READ = "readers could not live with it"


class Change(NamedTuple):
    """A change of a message, named by its type; `what` as `path: what`."""

    message: str
    what: str
    meaning: Meaning


def changes(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> list[Change]:
    """What has changed about the messages, of which `old` and `new` are the schemas by type."""
    found = [
        Change(name, "removed", Meaning.CANNOT_READ) for name in sorted(old.keys() - new.keys())
    ]
    for name, schema in sorted(new.items()):
        before = old.get(name)
        if before is None:
            found.append(Change(name, "a new message", Meaning.WAITS))
            continue
        found += [
            Change(name, each, Meaning.CANNOT_READ) for each in breaking_changes(before, schema)
        ]
        comparison = _Comparison(before, schema)
        found += [
            Change(name, each, Meaning.WAITS) for each in comparison.new_values(before, schema, "")
        ]
        found += [
            Change(name, each, Meaning.PASSES_OVER)
            for each in comparison.new_fields(before, schema, "")
        ]
    return found


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """Each change that breaks readers, as `path: what`; empty if the new schema may replace it."""
    return list(_Comparison(old, new).differences(old, new, ""))


class _Comparison:
    """Two documents, whose references lead to definitions of their own."""

    def __init__(self, old: Schema, new: Schema) -> None:
        self._old = old
        self._new = new

    def differences(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before = _alternatives(old, self._old)
        after = _alternatives(new, self._new)
        for kind, alternative in before.items():
            if kind not in after:
                yield f"{path or 'body'}: may no longer be {kind}"
            else:
                yield from self._same_kind(alternative, after[kind], path)

    def new_values(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """Values that an enum had not before."""
        for inner, was, now in self._pairs(old, new, path):
            added = (_values(now) or set()) - (_values(was) or _values(now) or set())
            yield from (f"{inner or 'body'}: {value}" for value in sorted(map(str, added)))

    def new_fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        """Fields that were not there before, and need not be."""
        for inner, was, now in self._pairs(old, new, path):
            added = now.get("properties", {}).keys() - was.get("properties", {}).keys()
            yield from (
                f"{inner}.{name}: a new field".removeprefix(".")
                for name in sorted(added - set(now.get("required", ())))
            )

    def _pairs(self, old: Schema, new: Schema, path: str) -> Iterator[tuple[str, Schema, Schema]]:
        """What both have: (path, as it was, as it is), outer ones first."""
        before, after = _alternatives(old, self._old), _alternatives(new, self._new)
        for kind in before.keys() & after.keys():
            was, now = before[kind], after[kind]
            yield path, was, now
            if "items" in was and "items" in now:
                yield from self._pairs(was["items"], now["items"], f"{path}[]")
            known: Schema = was.get("properties", {})
            for name in known.keys() & now.get("properties", {}).keys():
                inner = f"{path}.{name}" if path else name
                yield from self._pairs(known[name], now["properties"][name], inner)

    def _same_kind(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        where = path or "body"
        yield from _lost_values(old, new, where)
        yield from _tightened(old, new, where)
        yield from self._fields(old, new, path)
        if "items" in old and "items" in new:
            yield from self.differences(old["items"], new["items"], f"{path}[]")

    def _fields(self, old: Schema, new: Schema, path: str) -> Iterator[str]:
        before: Schema = old.get("properties", {})
        after: Schema = new.get("properties", {})
        for name, schema in before.items():
            inner = f"{path}.{name}" if path else name
            if name not in after:
                yield f"{inner}: removed or renamed"
            else:
                yield from self.differences(schema, after[name], inner)
        for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
            yield f"{path}.{name}: required now".removeprefix(".")


def _alternatives(schema: Schema, document: Schema) -> dict[str, Schema]:
    """What a value may be, by JSON type and format; `any` where nothing is said."""
    while "$ref" in schema:
        schema = document["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        found: dict[str, Schema] = {}
        for each in schema["anyOf"]:
            found |= _alternatives(each, document)
        return found
    kind = schema.get("type", "any")
    return {f"{kind} ({schema['format']})" if "format" in schema else kind: schema}


def _values(schema: Schema) -> set[Any] | None:
    if "const" in schema:
        return {schema["const"]}
    return set(schema["enum"]) if "enum" in schema else None


def _lost_values(old: Schema, new: Schema, where: str) -> Iterator[str]:
    before, after = _values(old), _values(new)
    if after is None:
        return
    if before is None:
        yield f"{where}: only certain values now"
    elif before - after:
        yield f"{where}: no longer takes {', '.join(sorted(map(str, before - after)))}"


def _tightened(old: Schema, new: Schema, where: str) -> Iterator[str]:
    for bound in _LOWER_BOUNDS:
        if bound in new and (bound not in old or new[bound] > old[bound]):
            yield f"{where}: {bound} is {new[bound]} now"
    for bound in _UPPER_BOUNDS:
        if bound in new and (bound not in old or new[bound] < old[bound]):
            yield f"{where}: {bound} is {new[bound]} now"
    if "pattern" in new and new["pattern"] != old.get("pattern"):
        yield f"{where}: another pattern"
