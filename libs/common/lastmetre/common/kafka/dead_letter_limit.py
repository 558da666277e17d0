"""Stops a sender whose records are bad one after the other, instead of emptying a topic into the
dead letters."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self
from uuid import UUID, uuid5

from lastmetre.common.kafka.codec import ConsumedRecord

WINDOW_RECORDS: Final = 200
LARGEST_SHARE: Final = 0.5
_HELD_BACK: Final = UUID("6f2f3a52-3f0c-5e0b-9a55-6d1c2b1f7a10")


class Sender(NamedTuple):
    """Who wrote a record: its ce_source, in one partition. Empty where it names none."""

    topic: str
    partition: int
    source: str

    @property
    def key(self) -> UUID:
        """Under which the records of a stopped sender are parked."""
        return uuid5(_HELD_BACK, f"{self.topic}/{self.partition}/{self.source}")

    @classmethod
    def of(cls, record: ConsumedRecord) -> Self:
        """The sender of a record."""
        source = (record.header("ce_source") or b"").decode("utf-8", "replace")[:200]
        # PostgreSQL's text holds no NUL.
        return cls(record.topic, record.partition, source.replace("\0", "\ufffd"))


class HeldRecord(NamedTuple):
    """A record of a stopped sender, as it is kept: `sealed`, if its body is encrypted."""

    record: ConsumedRecord
    sealed: bool


@dataclass(slots=True)
class _Window:
    """A sender's records since its first dead letter."""

    seen: int = 0
    dead: int = 0
    error: str = ""


class DeadLetterLimit:
    """Counts dead letters by topic partition and sender."""

    def __init__(self) -> None:
        self._windows: dict[Sender, _Window] = defaultdict(_Window)

    def copy(self) -> "DeadLetterLimit":
        """To count a batch in that may not be committed: a try that failed has not happened."""
        other = DeadLetterLimit()
        for sender, window in self._windows.items():
            other._windows[sender] = replace(window)
        return other

    def over(
        self, handled: Iterable[ConsumedRecord], dead: Iterable[tuple[ConsumedRecord, str]]
    ) -> dict[Sender, str]:
        """Count a batch, and what was wrong with its dead letters.

        Returns the senders of whose last records more than half were dead letters, and says so.
        """
        for record, error in dead:
            window = self._windows[Sender.of(record)]
            window.dead += 1
            window.error = error
        if not self._windows:
            return {}
        for record in handled:
            if counted := self._windows.get(Sender.of(record)):
                counted.seen += 1
        found = {}
        for sender, window in list(self._windows.items()):
            if window.seen < WINDOW_RECORDS:
                continue
            del self._windows[sender]
            if window.dead > window.seen * LARGEST_SHARE:
                found[sender] = (
                    f"{window.dead} of {window.seen} records were dead letters,"
                    f" the last one: {window.error}"
                )
        return found
