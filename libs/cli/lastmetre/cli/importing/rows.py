"""A file of reports, row by row, as its mapping says it is written."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from lastmetre.cli.console import UsedWrongly
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.file import read_mapping
from lastmetre.common.mapping.model import TableMapping, is_local
from lastmetre.common.mapping.values import Unusable
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.reading import Layout


def table_reader(path: Path) -> tuple[Reader, TableMapping]:
    """The engine for a table's mapping in a YAML file. Raises MappingError, UsedWrongly."""
    found = read_mapping(path)
    if not isinstance(found.mapping, TableMapping):
        raise UsedWrongly(
            f"{path} reads JSON, and the file is a table.",
            "a mapping without `reads: json`, as deploy/mappings/la311.yaml.",
        )
    return found.reader(), found.mapping


def layout_of(reader: Reader, mapping: TableMapping) -> Layout:
    """How the file is written. Columns that the mapping does not name are kept as what was sent."""

    def is_row(cells: Mapping[str, str]) -> bool:
        try:
            reader.time_at(mapping.reported_at, cells)
        except Unusable:
            return False
        return bool(reader.said_id(cells))

    return Layout(
        Columns(mapping.columns(), others=True, others_kept=mapping.keep_sent),
        encoding=mapping.encoding,
        delimiter=mapping.delimiter,
        time_format=next(filter(is_local, mapping.times.format), Layout.time_format),
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
