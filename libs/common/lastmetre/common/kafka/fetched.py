"""What aiokafka makes of fetched bytes: bad header names are forgiven, a flow gets our own records.

aiokafka 0.14 makes a record of its own for each, with a tuple, a name and a value for every header.
A turn's thousand records did not fit the processor's cache then, and took a quarter longer.
"""

from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.memory_records import MemoryRecords

from lastmetre.common.kafka.codec import EVENT_HEADERS, ConsumedRecord, Headers
from lastmetre.common.kafka.lenient_headers import ForgivingRecords

_HEADERS: Final = len(EVENT_HEADERS)


class _AsOurs:
    """Stands in a consumer's fetcher for the deserializer that our consumers have none of."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix


class FetchedRecords(PartitionRecords):
    """The records of a fetched partition: ours for the consumers that were asked to."""

    def _consumer_record(self, tp: Any, raw: Any) -> Any:
        ours = self._value_deserializer
        if not isinstance(ours, _AsOurs):
            return super()._consumer_record(tp, raw)  # type: ignore[no-untyped-call]
        return ConsumedRecord(
            tp.topic.removeprefix(ours.prefix),
            tp.partition,
            raw.offset,
            raw.timestamp,
            raw.key,
            raw.value,
            lines(raw.headers),
        )


def lines(headers: Headers) -> Headers | bytes:
    """The headers of an event of ours as `cloud_event` makes them; any others as they are."""
    if len(headers) != _HEADERS:
        return headers
    names, values = zip(*headers, strict=True)
    if names != EVENT_HEADERS or None in values:
        return headers
    packed: bytes = b"\n".join(values)
    return packed if packed.count(b"\n") == _HEADERS - 1 else headers


def as_ours(consumer: AIOKafkaConsumer, prefix: str) -> None:
    """Have this consumer give our records, their topics without `prefix`. It has to be started."""
    assert consumer._fetcher is not None
    consumer._fetcher._value_deserializer = _AsOurs(prefix)


def install() -> None:
    """Put both into aiokafka, for this process. Doing it again changes nothing.

    Raises RuntimeError if aiokafka is not built as it was when this was written.
    """
    names = vars(fetcher)
    if names.get("MemoryRecords") not in (MemoryRecords, ForgivingRecords):
        raise RuntimeError("aiokafka's fetcher has changed: see lastmetre.common.kafka.fetched")
    names["MemoryRecords"] = ForgivingRecords
    names["PartitionRecords"] = FetchedRecords
