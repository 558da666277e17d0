"""A batch whose bytes are changed before it is sent: what no producer would write by itself."""

import struct
from collections.abc import Sequence
from typing import Final

from aiokafka import AIOKafkaProducer
from aiokafka.record.util import calc_crc32c

Headers = Sequence[tuple[str, bytes | None]]

_CRC_AT: Final = 17
_COVERED_FROM: Final = 21


async def send_raw_batch(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Sequence[tuple[bytes, Headers]],
    replaced: tuple[bytes, bytes],
) -> None:
    """Send records with some bytes of the batch replaced by as many others."""
    batch = producer.create_batch()
    for value, headers in records:
        batch.append(key=b"k", value=value, timestamp=None, headers=list(headers))
    build = batch._build  # noqa: SLF001 - no producer of anybody writes such bytes

    def built() -> bytes:
        data = bytearray(bytes(build()).replace(*replaced))
        struct.pack_into(">I", data, _CRC_AT, calc_crc32c(bytes(data[_COVERED_FROM:])))
        return bytes(data)

    batch._build = built  # noqa: SLF001
    await (await producer.send_batch(batch, topic, partition=partition))
