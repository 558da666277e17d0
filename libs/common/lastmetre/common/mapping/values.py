"""Values of partners' documents, and what is wrong with those that cannot be used."""

from collections.abc import Callable, Iterable
from collections.abc import Mapping as Document
from typing import Any, Final, NamedTuple

ELLIPSIS: Final = "…"


class Words(NamedTuple):
    """What is wrong with a value: `template` has a {} for each of `values`."""

    about: str
    template: str
    values: tuple[str, ...] = ()

    def quoting(self) -> str:
        """With the values, for whoever has the file."""
        return self._with(map(repr, self.values))

    def silent(self) -> str:
        """Without them: they may be personal."""
        return self._with(ELLIPSIS for _ in self.values)

    def _with(self, values: Iterable[str]) -> str:
        # What a library says may have brackets of its own.
        return self.about + (self.template.format(*values) if self.values else self.template)


class Unusable(ValueError):
    """A value that cannot be used; `words` say why."""

    def __init__(self, words: Words) -> None:
        super().__init__(words.quoting())
        self.words = words


def cell(name: str) -> Callable[[Document[str, str]], str | None]:
    """What finds a column's cell in a row."""
    return lambda cells: cells.get(name)


def as_text(value: Any, join: str) -> str:
    """A value of JSON, or a cell, as text: of a list what is in it, `join` between. Raises
    TypeError for an object."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list):
        return join.join(filter(None, (as_text(each, join) for each in value)))
    raise TypeError


def number(name: str, text: str) -> float:
    """The number that `text` writes. Raises Unusable."""
    try:
        # Python takes 1_000 for a number.
        if "_" in text:
            raise ValueError("no number")
        return float(text)
    except ValueError as error:
        raise Unusable(Words(name, ": {} is no number", (text,))) from error


def degrees(label: str, sent: tuple[str, ...], unit: int) -> tuple[float, float]:
    """Two numbers of which there are `unit` to a degree. Raises Unusable."""
    try:
        first, second = (number(label, each) / unit for each in sent)
    except ValueError as error:
        template = ": " + ", ".join("{}" for _ in sent) + " are not degrees"
        raise Unusable(Words(label, template, sent)) from error
    return first, second
