"""Identities: UUIDv7 of our own, and the trace that follows a report through the services."""

import random
import re
from datetime import datetime
from typing import Final
from uuid import UUID

TRACEPARENT = re.compile(rb"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")

_LOW_BITS: Final = (1 << 62) - 1


class Identities:
    """Makes ids from injected randomness."""

    def __init__(self, source: random.Random | None = None) -> None:
        self._bits = (source or random.SystemRandom()).getrandbits

    def uuid7(self, now: datetime) -> UUID:
        """An id that sorts by time to the millisecond (RFC 9562, section 5.7)."""
        milliseconds, random_bits = int(now.timestamp() * 1000), self._bits(74)
        high, low = random_bits >> 62, random_bits & _LOW_BITS
        return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)

    def traceparent(self) -> str:
        """A new W3C trace context, sampled."""
        ids = f"{self._bits(192):048x}"
        return f"00-{ids[:32]}-{ids[32:]}-01"


def trace_id(traceparent: str) -> str:
    """The trace id inside a W3C trace context."""
    return traceparent[3:35]
