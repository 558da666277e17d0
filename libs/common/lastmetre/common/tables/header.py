"""The first row of a table: which column is where."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lastmetre.common.tables.problems import TableError

Wanted = str | tuple[str, ...]
"""A column that must be there, or several of which at least one must be."""


@dataclass(frozen=True)
class Columns:
    """What a table must and may hold. Others are refused unless `others` says so, and read only
    with `others_kept`."""

    required: Sequence[Wanted]
    optional: Sequence[str] = ()
    others: bool = False
    others_kept: bool = False

    def names(self) -> list[str]:
        """All that are read, as the program spells them."""
        return [*(name for each in self.required for name in _either(each)), *self.optional]


class Header:
    """The places of a table's columns. Names are trimmed and compared without case."""

    def __init__(self, cells: Sequence[str], columns: Columns, where: str) -> None:
        """Raises TableError that names every column that is wrong."""
        spelled = [" ".join(cell.split()) for cell in cells]
        while spelled and not spelled[-1]:
            spelled.pop()
        self._spelled = spelled
        self.width = len(spelled)
        self.nameless = [place for place, name in enumerate(spelled) if not name]
        problems = list(_problems(spelled, columns))
        if problems:
            raise TableError(where, problems)
        places = {name.casefold(): place for place, name in enumerate(spelled)}
        known = {name: places[_key(name)] for name in columns.names() if _key(name) in places}
        there = [name.casefold() for name in spelled]
        others = (
            {}
            if not columns.others_kept
            else {
                name if there.count(name.casefold()) == 1 else f"{name} (column {place + 1})": place
                for place, name in enumerate(spelled)
                if name and place not in known.values()
            }
        )
        # In the file's order.
        in_order = sorted((others | known).items(), key=lambda each: each[1])
        self.places: Mapping[str, int] = dict(in_order)

    def name(self, place: int) -> str:
        """What the column at `place` is called."""
        spelled = self._spelled[place] if place < self.width else ""
        return spelled or f"column {place + 1}"

    def named(self, cells: Sequence[str]) -> dict[str, str]:
        """The cells by column, without the white space around them."""
        return {name: cells[at].strip() for name, at in self.places.items() if at < len(cells)}


def _either(wanted: Wanted) -> tuple[str, ...]:
    return (wanted,) if isinstance(wanted, str) else wanted


def _key(name: str) -> str:
    return " ".join(name.split()).casefold()


def _problems(spelled: Sequence[str], columns: Columns) -> Iterator[str]:
    there = [name.casefold() for name in spelled]
    known = {_key(name): name for name in columns.names()}
    missing = [
        " or ".join(_either(each))
        for each in columns.required
        if not any(_key(name) in there for name in _either(each))
    ]
    if missing:
        yield f"no column {', '.join(missing)}; the header names {', '.join(spelled) or 'none'}"
        if len(spelled) == 1 and (parted := [each for each in ";\t|" if each in spelled[0]]):
            yield f"its columns seem to be parted by {parted[0]!r}"
    twice = [name for key, name in known.items() if there.count(key) > 1]
    if twice:
        yield f"several columns called {', '.join(twice)} (upper and lower case count the same)"
    unknown = [name for name in spelled if name and name.casefold() not in known]
    if unknown and not columns.others:
        yield f"unknown columns {', '.join(unknown)}; known are {', '.join(known.values())}"
