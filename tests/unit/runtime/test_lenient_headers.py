"""Header names that are not UTF-8, in every codec, between good records."""

import struct
from typing import Any

import pytest
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, message_type
from lastmetre.common.kafka.lenient_headers import UNREADABLE, LenientRecords, install

PLACEHOLDER = "PLACEHOLDER"
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
CRC_AT, COVERED_FROM, RECORDS_FROM = 17, 21, 61


def built(codec: int, *, bad_at: int | None) -> bytes:
    """A batch of four records; the header name of one becomes bytes that are not UTF-8."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1 << 20)
    for place in range(4):
        name = PLACEHOLDER if place == bad_at else "ce_type"
        builder.append(
            place, None, key=b"k%d" % place, value=b"v", headers=[(name, b"t"), ("none", None)]
        )
    batch = bytearray(builder.build())
    if bad_at is not None:
        at = batch.index(PLACEHOLDER.encode())
        batch[at : at + len(PLACEHOLDER)] = b"\xff\xfe\x00\xc3\xed\xa0\x80abcd"
    return compressed(batch, codec)


def compressed(batch: bytearray, codec: int) -> bytes:
    from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode

    encoders: dict[int, Any] = {1: gzip_encode, 2: snappy_encode, 3: lz4_encode, 4: zstd_encode}
    encode = encoders.get(codec)
    body = bytes(batch[RECORDS_FROM:])
    result = batch[:RECORDS_FROM] + (encode(body) if encode else body)
    attributes = struct.unpack_from(">h", result, COVERED_FROM)[0]
    struct.pack_into(">h", result, COVERED_FROM, attributes | codec)
    struct.pack_into(">i", result, 8, len(result) - 12)
    struct.pack_into(">I", result, CRC_AT, calc_crc32c(bytes(result[COVERED_FROM:])))
    return bytes(result)


def read(data: bytes) -> list[tuple[bytes, list[tuple[str, bytes | None]]]]:
    records = LenientRecords(data)
    found = []
    while records.has_next():
        batch = records.next_batch()
        assert batch.validate_crc()
        found += [(record.key, list(record.headers)) for record in batch]
    return found


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())
def test_every_record_comes_out_and_the_bad_one_marked(codec: int) -> None:
    found = read(built(codec, bad_at=2) + built(codec, bad_at=None))
    assert [key for key, _ in found] == [b"k0", b"k1", b"k2", b"k3"] * 2
    assert [headers[0][0] == UNREADABLE for _, headers in found] == [False, False, True] + [
        False
    ] * 5
    assert found[3][1] == [("ce_type", b"t"), ("none", None)]


def test_it_becomes_a_dead_letter() -> None:
    _, headers = read(built(0, bad_at=0))[0]
    with pytest.raises(BadRecord, match="not UTF-8"):
        message_type(ConsumedRecord("t", 0, 0, 0, None, b"", headers))


def test_without_it_aiokafka_raises() -> None:
    """When this fails, aiokafka has learned it and `forgiving` can go."""
    batch = MemoryRecords(built(0, bad_at=2)).next_batch()
    assert batch is not None
    with pytest.raises(Exception, match="utf-8"):
        list(batch)


def test_installing_twice_is_harmless() -> None:
    install()
    install()
    assert vars(fetcher)["MemoryRecords"] is LenientRecords
