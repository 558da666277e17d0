"""A CSV file, row by row, never the whole of it in memory. A bad row does not end the reading."""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, TextIO, TypeVar

from lastmetre.cli.console import UsedWrongly
from lastmetre.cli.importing.mapping import Mapping as FileMapping

READ_BYTES: Final = 1 << 20


class Row(NamedTuple):
    """A row: the line where it begins, its cells by column, and what keeps it from being read."""

    line: int
    cells: Mapping[str, str]
    problem: str | None = None


def count_lines(path: Path) -> int:
    """At least as many as there are rows: for the progress bar."""
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(READ_BYTES), b"")) + 1


def read_rows(path: Path, mapping: FileMapping) -> Iterator[Row]:
    """The rows. Raises UsedWrongly if the file's header does not fit the mapping."""
    try:
        # What cannot be decoded must not end the file: it stays visible as lone surrogates.
        file = path.open(encoding=mapping.encoding, errors="surrogateescape", newline="")
    except LookupError as error:
        raise UsedWrongly(f"no such encoding: {mapping.encoding}") from error
    with file:
        yield from _rows(file, path, mapping)


def _rows(file: TextIO, path: Path, mapping: FileMapping) -> Iterator[Row]:
    reader = csv.reader(file, delimiter=mapping.delimiter)
    header = _header(next(reader, []), path, mapping)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, {}, f"not CSV: {error}")
            continue
        if cells:
            held = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
            yield Row(line, held, _problem(header, cells))


def _header(names: Sequence[str], path: Path, mapping: FileMapping) -> list[str]:
    header = [name.strip() for name in names]
    wanted = mapping.columns()
    missing = [name for name in wanted if name not in header]
    if missing:
        raise UsedWrongly(
            f"{path} has no column {', '.join(missing)}; its first line names"
            f" {', '.join(header) or 'none'}.",
            "correct the names in the mapping, or its delimiter and encoding.",
        )
    twice = [name for name in wanted if header.count(name) > 1]
    if twice:
        raise UsedWrongly(f"{path} has several columns called {', '.join(twice)}.")
    return header


def _problem(header: Sequence[str], cells: Sequence[str]) -> str | None:
    if len(cells) != len(header):
        return f"{len(cells)} cells where the header has {len(header)}"
    if any(not cell.isascii() and _undecodable(cell) for cell in cells):
        return "not in the encoding of the mapping"
    return None


def _undecodable(cell: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in cell)


Item = TypeVar("Item")


def in_chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, so many at a time; the last may be fewer."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) >= size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
