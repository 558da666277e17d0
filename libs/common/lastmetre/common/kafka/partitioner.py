"""Which partition a key belongs to: murmur2 as Kafka's own clients use it, for many keys at once.

Source: org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.
"""

import struct
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SEED = 0x9747B28C
_M = np.uint32(0x5BD1E995)
_R = np.uint32(24)
_WORD = struct.Struct("<I")
_FEW = 3

Words = NDArray[np.uint32]


def _hash_equal_lengths(keys: list[bytes], length: int) -> Words:
    whole = length // 4
    table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), length)
    words = np.ascontiguousarray(table[:, : whole * 4]).view("<u4").reshape(len(keys), whole)
    state = np.full(len(keys), _SEED ^ length, dtype=np.uint32)
    for column in range(whole):
        mixed = words[:, column] * _M
        mixed ^= mixed >> _R
        state *= _M
        state ^= mixed * _M
    if length % 4:
        for offset in reversed(range(length % 4)):
            state ^= table[:, whole * 4 + offset].astype(np.uint32) << np.uint32(8 * offset)
        state *= _M
    state ^= state >> np.uint32(13)
    state *= _M
    state ^= state >> np.uint32(15)
    return state


def _hash_one(key: bytes) -> int:
    """The same for one key: setting up numpy costs six times as much."""
    multiplier, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(key)
    state = _SEED ^ length
    whole = length & ~3
    for (word,) in _WORD.iter_unpack(key[:whole]):
        mixed = word * multiplier & mask
        mixed = (mixed ^ mixed >> 24) * multiplier & mask
        state = state * multiplier & mask ^ mixed
    if length > whole:
        rest = int.from_bytes(key[whole:], "little")
        state = (state ^ rest) * multiplier & mask
    state = (state ^ state >> 13) * multiplier & mask
    return state ^ state >> 15


def partitions_of(keys: Sequence[bytes], partitions: int) -> list[int]:
    """The partition of each key among `partitions`, as a Java producer would choose it."""
    if len(keys) <= _FEW:
        return [(_hash_one(key) & 0x7FFFFFFF) % partitions for key in keys]
    by_length: dict[int, list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        by_length[len(key)].append(index)
    result = np.empty(len(keys), dtype=np.int64)
    for length, indexes in by_length.items():
        hashed = _hash_equal_lengths([keys[i] for i in indexes], length)
        result[indexes] = (hashed & np.uint32(0x7FFFFFFF)) % np.uint32(partitions)
    chosen: list[int] = result.tolist()
    return chosen
