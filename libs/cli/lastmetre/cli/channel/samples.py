"""What partners send, read from files: tables by their header, JSON whole, in arrays or by line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import from_json

from lastmetre.cli.console import UsedWrongly
from lastmetre.cli.importing.rows import layout_of
from lastmetre.common.contracts.base import BYTE_ORDER_MARK
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.model import TableMapping
from lastmetre.common.tables.reading import read_rows


class Sample(NamedTuple):
    """A document, where it stands, and what keeps it from being read."""

    where: str
    document: Mapping[str, Any]
    problem: str | None = None


def read_samples(path: Path, reader: Reader) -> Iterator[Sample]:
    """The documents of a file, as the mapping reads them. Raises TableError, UsedWrongly."""
    mapping = reader.mapping
    if isinstance(mapping, TableMapping):
        for row in read_rows(path, layout_of(reader, mapping)):
            yield Sample(f"{path.name}, line {row.line}", row.cells, row.problem)
        return
    for where, value in _values(path):
        if isinstance(value, dict):
            yield Sample(where, value)
        else:
            yield Sample(where, {}, "a report is a JSON object")


def _values(path: Path) -> Iterator[tuple[str, Any]]:
    body = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    try:
        whole = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        yield from _by_line(path, body, str(error))
        return
    if not isinstance(whole, list):
        yield path.name, whole
        return
    for index, value in enumerate(whole):
        yield f"{path.name}, item {index}", value


def _by_line(path: Path, body: bytes, wrong: str) -> Iterator[tuple[str, Any]]:
    """A record a line, as Kafka's console consumer writes them."""
    lines = [(at, line) for at, line in enumerate(body.splitlines(), 1) if line.strip()]
    for at, line in lines:
        try:
            yield f"{path.name}, line {at}", from_json(line, allow_inf_nan=False)
        except ValueError as error:
            # One line that begins as JSON makes it a file of lines; else it is one document.
            if at == lines[0][0]:
                raise UsedWrongly(f"{path} is not JSON: {wrong}") from error
            raise UsedWrongly(f"{path}, line {at} is not JSON: {error}") from error
