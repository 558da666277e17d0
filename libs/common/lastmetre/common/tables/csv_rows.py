"""Rows of CSV: each costs its own lines only, however its quotes are placed."""

import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

MOST_LINES: Final = 500
"""A quoted cell with more line breaks than this is a quote that nobody closed."""


class RawRow(NamedTuple):
    """A row's cells, the line where it begins, what keeps it from being read, how many lines it
    has."""

    line: int
    cells: Sequence[str]
    problem: str | None = None
    lines: int = 1


IsRow = Callable[[Sequence[str]], bool]


class _Lines:
    """Lines that can be taken back, to be read as rows of their own."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self.read = 0
        self.taken: list[str] = []
        """Those of the row that is being read."""

    def row(self) -> Iterator[str]:
        """Lines of the next row, as many as the reader asks for, within the limit."""
        self.taken = []
        while len(self.taken) < MOST_LINES:
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return
            self.read += 1
            self.taken.append(line)
            yield line

    def only_the_first(self) -> None:
        """The row has had its first line; those behind it are read again."""
        self._again.extendleft(reversed(self.taken[1:]))
        self.read -= len(self.taken) - 1


def read_csv(lines: Iterable[str], delimiter: str, is_row: IsRow) -> Iterator[RawRow]:
    """All rows, those that cannot be read with their problem.

    A quote that is not closed, or not followed by a delimiter, costs the line where its row
    begins, and reading goes on with the next line. The same where a quoted cell goes over a line
    that `is_row` says is a row of its own.
    """
    source = _Lines(lines)
    while True:
        first = source.read + 1
        try:
            cells = next(csv.reader(source.row(), delimiter=delimiter, strict=True))
        except StopIteration:
            return
        except csv.Error as error:
            problem = _in_words(error, source.taken, first, delimiter)
        else:
            over = _row_within(source.taken, delimiter, is_row)
            if over is None:
                yield RawRow(first, cells, lines=len(source.taken))
                continue
            begun = first + _quote_opened(source.taken[: over + 1], delimiter)
            problem = (
                f"a quote opened in line {begun} goes over line {first + over},"
                " which is a row of its own"
            )
        source.only_the_first()
        yield RawRow(first, source.taken[0].split(delimiter), problem)


def _row_within(taken: Sequence[str], delimiter: str, is_row: IsRow) -> int | None:
    for offset, line in enumerate(taken[1:], start=1):
        if any(is_row(cells) for cells in csv.reader((line,), delimiter=delimiter)):
            return offset
    return None


def _in_words(error: csv.Error, taken: Sequence[str], first: int, delimiter: str) -> str:
    if "unexpected end of data" in str(error):
        begun = first + _quote_opened(taken, delimiter)
        if len(taken) < MOST_LINES:
            return f"a quote opened in line {begun} is never closed"
        return f"a quote opened in line {begun} is not closed within {MOST_LINES} lines"
    if len(taken) > 1:
        begun = first + _quote_opened(taken[:-1], delimiter)
        return f"not CSV: {error}; the quote was opened in line {begun}"
    return f"not CSV: {error}"


def _quote_opened(taken: Sequence[str], delimiter: str) -> int:
    """Behind how many of these lines stands the quote that is open at their end."""
    opened, inside, closed, begins = 0, False, False, True
    for offset, line in enumerate(taken):
        for letter in line:
            if inside:
                inside, closed = letter != '"', letter == '"'
                continue
            if letter == '"' and begins:
                opened = offset
            inside = letter == '"' and (begins or closed)
            closed, begins = False, letter == delimiter or letter in "\r\n"
    return opened
