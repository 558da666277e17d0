"""UUIDv7 of our own, drawn or derived, and the trace that follows a report through the services."""

import hashlib
import os
import re
from datetime import datetime
from typing import Final, Protocol
from uuid import UUID

from lastmetre.common.telemetry.traces import TRACES

TRACEPARENT = re.compile(rb"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")

_TIME_BITS: Final = 48
_OTHER_BITS: Final = 74
_LENGTH_BYTES: Final = 8
_LOW_BITS: Final = (1 << 62) - 1
_DRAWN_BYTES: Final = 4096


class Randomness(Protocol):
    """As `random.Random` has it."""

    def getrandbits(self, k: int, /) -> int:
        """A number of `k` random bits."""


class DrawnAhead:
    """The system's randomness, drawn for hundreds of ids at once: each draw is a system call."""

    def __init__(self) -> None:
        self._drawn = b""
        self._used = 0

    def getrandbits(self, k: int, /) -> int:
        """A number of `k` random bits."""
        start, end = self._used, self._used + (k + 7) // 8
        if end > len(self._drawn):
            self._drawn = os.urandom(_DRAWN_BYTES)
            start, end = 0, end - start
        self._used = end
        return int.from_bytes(self._drawn[start:end]) >> -k % 8


class IdGenerator:
    """Makes ids from injected randomness."""

    def __init__(self, source: Randomness | None = None) -> None:
        self._bits = (source or DrawnAhead()).getrandbits

    def uuid7(self, now: datetime) -> UUID:
        """An id that sorts by time to the millisecond (RFC 9562, section 5.7)."""
        return _uuid7(int(now.timestamp() * 1000), self._bits(_OTHER_BITS))

    def traceparent(self) -> str:
        """The W3C trace context of the span that runs; without one a new one, sampled."""
        if running := TRACES.current():
            return running
        ids = f"{self._bits(192):048x}"
        return f"00-{ids[:32]}-{ids[32:]}-01"


def derived_uuid7(milliseconds: int, *parts: bytes) -> UUID:
    """The UUIDv7 that these parts always give: found again after a database went back in time.

    `milliseconds` since 1970 UTC are its first 48 bits, as in any UUIDv7, so that it sorts by time;
    the other 74 bits come from SHA-256 over the parts, each behind its length (8 bytes).
    """
    if not 0 <= milliseconds < 1 << _TIME_BITS:
        raise ValueError(f"{milliseconds} ms do not fit a UUIDv7")
    digest = hashlib.sha256(
        b"".join(len(part).to_bytes(_LENGTH_BYTES) + part for part in parts)
    ).digest()
    return _uuid7(milliseconds, int.from_bytes(digest) >> 8 * len(digest) - _OTHER_BITS)


def milliseconds_of(identity: UUID) -> int:
    """The first 48 bits: of a UUIDv7 the milliseconds since 1970 UTC."""
    return identity.int >> 80


def _uuid7(milliseconds: int, other_bits: int) -> UUID:
    """RFC 9562, section 5.7: 48 bits of time, version 7, 12 bits, variant 2, 62 bits."""
    high, low = other_bits >> 62, other_bits & _LOW_BITS
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


def trace_id(traceparent: str) -> str:
    """The trace id inside a W3C trace context."""
    return traceparent[3:35]
