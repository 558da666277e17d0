"""Which parts of a JSON document an expression looks at."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class _Watched(dict[str, Any]):
    """An object that notes which of its keys are asked for. JMESPath asks by `get` and `values`."""

    def __init__(self, held: Mapping[str, Any], path: str, asked: set[str]) -> None:
        super().__init__(
            {key: watched(value, asked, _of(path, key)) for key, value in held.items()}
        )
        self._path = path
        self._asked = asked

    def get(self, key: str, default: Any = None, /) -> Any:
        """The value, noted."""
        self._asked.add(_of(self._path, key))
        return super().get(key, default)

    def values(self) -> Any:
        """All of them, noted."""
        self._asked.update(_of(self._path, key) for key in self)
        return super().values()


# JMESPath's functions know an object by the name of its class.
_Watched.__name__ = "dict"


def watched(value: Any, asked: set[str], path: str = "") -> Any:
    """The same, noting in `asked` the paths of what is looked at; `[]` for any item of a list."""
    if isinstance(value, dict):
        return _Watched(value, path, asked)
    if isinstance(value, list):
        return [watched(each, asked, f"{path}[]") for each in value]
    return value


def leaves(value: Any, path: str = "") -> Iterator[str]:
    """The paths of what is no object and no list, empty ones left out."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, _of(path, key))
    elif isinstance(value, list):
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    elif value not in (None, ""):
        yield path


def _of(path: str, key: str) -> str:
    name = key if _PLAIN.fullmatch(key) else f'"{key}"'
    return f"{path}.{name}" if path else name
