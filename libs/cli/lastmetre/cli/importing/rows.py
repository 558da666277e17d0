"""A file of reports, row by row, as its mapping says it is written."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from lastmetre.cli.importing.mapping import Mapping as FileMapping
from lastmetre.cli.importing.times import read_time
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.reading import Layout


def layout_of(mapping: FileMapping) -> Layout:
    """How the file is written. Columns that the mapping does not name are left alone."""

    def is_row(cells: Mapping[str, str]) -> bool:
        try:
            read_time(cells[mapping.reported_at], mapping.times)
        except ValueError:
            return False
        return bool(cells[mapping.source_id])

    return Layout(
        Columns(mapping.columns(), others=True),
        encoding=mapping.encoding,
        delimiter=mapping.delimiter,
        time_format=mapping.times.format,
        is_row=is_row,
    )


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
