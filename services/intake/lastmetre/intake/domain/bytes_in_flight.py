"""What the edge holds in memory: bodies being read and records that Kafka has not acknowledged."""

from collections import Counter
from typing import Final

SHARE: Final = 4
"""A sender may hold the limit's fourth part."""
OPEN_SHARE: Final = 8
"""And the form that is open to everybody an eighth, beside the limit: partners never fill that."""


class BytesInFlight:
    """Counts bytes by sender. `limit` is for all senders with a key; `open_sender` has none."""

    def __init__(self, limit: int, open_sender: str) -> None:
        self._limit = limit
        self._open_sender = open_sender
        self._held: Counter[str] = Counter()

    def reserve(self, sender: str, size: int) -> bool:
        """Count bytes in, unless they would be too many; `release` counts them out."""
        held = self._held[sender] + size
        if sender == self._open_sender:
            fits = held <= self._limit // OPEN_SHARE
        else:
            others = self._held.total() - self._held[self._open_sender]
            fits = held <= self._limit // SHARE and others + size <= self._limit
        if fits:
            self._held[sender] = held
        return fits

    def release(self, sender: str, size: int) -> None:
        """Count bytes out."""
        self._held[sender] -= size
        if not self._held[sender]:
            del self._held[sender]
