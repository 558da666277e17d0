"""Reads records whose header names are not UTF-8, which aiokafka 0.14.0 does not survive.

The broker takes such a record from any producer, and aiokafka raises in the middle of its partition
for ever. Here the record comes out marked, so that it can become a dead letter. This is all that we
change in a library; aiokafka is pinned to one version for it, and a test fails when that changes.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

UNREADABLE: Final = "lastmetre_unreadable_header"
"""Name of a record's first header where another one's name could not be read."""


class _Name(bytearray):
    """A slice of a batch that decodes whatever it holds."""

    def decode(self, encoding: str = "utf-8", errors: str = "replace") -> str:
        return super().decode(encoding, errors)


class _Buffer(bytearray):
    """A batch whose slices decode whatever they hold."""

    def __getitem__(self, where: Any) -> Any:
        found = super().__getitem__(where)
        return _Name(found) if isinstance(where, slice) else found


class _Batch:
    """A batch that is read by the fast parser, and on from its first bad record by a slow one."""

    def __init__(self, batch: Any, data: memoryview) -> None:
        self._batch = batch
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        read = 0
        try:
            for record in self._batch:
                read += 1
                yield record
        except (UnicodeDecodeError, CorruptRecordException):
            yield from islice(self._leniently(), read, None)

    def __next__(self) -> Any:
        """A transaction's mark is taken out of its batch so."""
        return next(self._batch)

    def _leniently(self) -> Iterator[Any]:
        slow = _DefaultRecordBatchPy(self._data)
        slow._maybe_uncompress()
        slow._buffer = _Buffer(slow._buffer)
        for record in slow:
            if any("\N{REPLACEMENT CHARACTER}" in name for name, _ in record.headers):
                record.headers.insert(0, (UNREADABLE, b"its name is not UTF-8"))
            yield record


class LenientRecords:
    """The batches of a fetched partition."""

    def __init__(self, data: bytes) -> None:
        self._inner = _MemoryRecordsPy(data)

    def size_in_bytes(self) -> int:
        """Of everything fetched."""
        return self._inner.size_in_bytes()

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return self._inner.has_next()

    def next_batch(self) -> Any:
        """The next batch."""
        data = self._inner._next_slice
        batch = self._inner.next_batch()
        if data is None or not isinstance(batch, DefaultRecordBatch):
            return batch
        return _Batch(batch, data)


def install() -> None:
    """Put it into aiokafka, for this process. Doing it again changes nothing.

    Raises RuntimeError if aiokafka is not built as it was when this was written.
    """
    names = vars(fetcher)
    if names.get("MemoryRecords") not in (MemoryRecords, LenientRecords):
        raise RuntimeError("aiokafka's fetcher has changed: see lastmetre.common.kafka")
    names["MemoryRecords"] = LenientRecords
