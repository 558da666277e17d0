"""The sender's database in memory, by the same rules as PostgreSQL's, with faults on demand."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres.sending import Attempted, Due, Key
from lastmetre.notify.application.result_committer import Attempt
from lastmetre.notify.domain.messages import SHARDS, shard_of

EPOCH = datetime(2026, 11, 22, tzinfo=UTC)
RETRY = timedelta(seconds=5)


def now() -> datetime:
    """The time of the loop as a date."""
    return EPOCH + timedelta(seconds=asyncio.get_running_loop().time())


class LoopClock:
    """A `Clock` that shows the loop's time."""

    def now(self) -> datetime:
        """The present instant."""
        return now()


@dataclass(frozen=True)
class Row:
    """A message that waits."""

    due: Due
    asked_at: datetime
    not_before: datetime
    sending_by: str | None = None


Fault = Callable[[str, Sequence[Attempted]], tuple[BaseException, bool] | None]
"""Given a statement's name and its messages: an error, and whether it takes effect all the same."""


def no_fault(_: str, __: Sequence[Attempted]) -> None:
    """All is well."""


@dataclass
class MemoryQueue:
    """Messages that wait and their ends; one session at a time may own the shards."""

    fault: Fault = no_fault
    waiting: dict[Key, Row] = field(default_factory=dict)
    ends: dict[Key, list[Attempt]] = field(default_factory=dict)
    owner: object = None
    calls: Counter[str] = field(default_factory=Counter)

    def ask(self, due: Due) -> None:
        """Put a message into the queue."""
        self.waiting[due.key] = Row(due, now(), now())

    async def statement(
        self, name: str, effect: Callable[[], None], messages: Sequence[Attempted] = ()
    ) -> None:
        """What every question of `MemorySession` is: counted, and perhaps a failure."""
        self.calls[name] += 1
        await asyncio.sleep(0.001)
        failing = self.fault(name, messages)
        if failing is None or failing[1]:
            effect()
        if failing:
            await asyncio.sleep(0)
            raise failing[0]

    # --- Results ------------------------------------------------------------------------

    async def record(self, attempts: Sequence[Attempt]) -> None:
        """See `Results`."""
        messages = [each.message for each in attempts]
        await self.statement("record", lambda: self._record(attempts), messages)

    def _record(self, attempts: Sequence[Attempt]) -> None:
        for each in attempts:
            row = self.waiting.get(each.message.key)
            if row is None or row.due.attempts != each.message.attempts:
                continue
            if each.outcome.result is None:
                later = replace(row, sending_by=None, not_before=now() + RETRY)
                self.waiting[each.message.key] = later
            else:
                del self.waiting[each.message.key]
                self.ends.setdefault(each.message.key, []).append(each)

    # --- sessions -----------------------------------------------------------------------

    @asynccontextmanager
    async def session(self) -> AsyncIterator["MemorySession"]:
        """See `sending_session`."""
        await self.statement("connect", lambda: None)
        session = MemorySession(self)
        try:
            yield session
        finally:
            if self.owner is session:
                self.owner = None


class MemorySession:
    """See `SendingSession`."""

    def __init__(self, queue: MemoryQueue) -> None:
        self._queue = queue

    @property
    def owned(self) -> Sequence[int]:
        return range(SHARDS) if self._queue.owner is self else ()

    async def balance(self, busy: Collection[int]) -> Sequence[int]:
        taken: list[int] = []

        def take() -> None:
            if self._queue.owner is None:
                self._queue.owner = self
                taken.extend(range(SHARDS))

        await self._queue.statement("balance", take)
        return taken

    async def recover(
        self, taken: Sequence[int], repeatable: Sequence[str], ours: Collection[Attempted]
    ) -> tuple[int, list[tuple[str, Attempted]]]:
        again: list[Key] = []
        unknown: list[tuple[str, Attempted]] = []

        def look() -> None:
            for key, row in self._queue.waiting.items():
                message = Attempted(*key, row.due.attempts)
                if row.sending_by is None or message in ours or shard_of(key[0]) not in taken:
                    continue
                if row.sending_by in repeatable:
                    again.append(key)
                else:
                    unknown.append((row.sending_by, message))
            for key in again:
                row = self._queue.waiting[key]
                due = row.due._replace(attempts=row.due.attempts + 1)
                self._queue.waiting[key] = replace(row, due=due, sending_by=None)

        await self._queue.statement("recover", look)
        return len(again), unknown

    async def release_provider_queues(self, taken: Sequence[int], providers: Sequence[str]) -> None:
        def release() -> None:
            for key, row in self._queue.waiting.items():
                if row.due.provider_queue not in ("", *providers):
                    due = row.due._replace(provider_queue="")
                    self._queue.waiting[key] = replace(row, due=due)

        await self._queue.statement("release", release)

    async def due(self, provider_queue: str, now: datetime, limit: int) -> list[Due]:
        found: list[Due] = []

        def look() -> None:
            first: dict[tuple[UUID, str], int] = {}
            for case_id, recipient, seq in sorted(self._queue.waiting):
                first.setdefault((case_id, recipient), seq)
            rows = sorted(self._queue.waiting.values(), key=lambda row: row.not_before)
            found.extend(
                row.due
                for row in rows
                if row.due.provider_queue == provider_queue
                and row.not_before <= now
                and row.sending_by is None
                and first[row.due.case_id, row.due.recipient] == row.due.seq
                and shard_of(row.due.case_id) in self.owned
            )

        await self._queue.statement("due", look)
        return found[:limit]

    async def claim(self, provider: str, messages: Sequence[Due | Attempted]) -> set[Attempted]:
        claimed: set[Attempted] = set()

        def claim() -> None:
            for message in messages:
                row = self._queue.waiting.get(message.key)
                if row and not row.sending_by and row.due.attempts == message.attempts:
                    due = row.due._replace(attempts=message.attempts + 1)
                    taken = replace(row, due=due, sending_by=provider)
                    self._queue.waiting[message.key] = taken
                    claimed.add(row.due.claimed)

        keys = [Attempted(*each.key, each.attempts + 1) for each in messages]
        await self._queue.statement("claim", claim, keys)
        return claimed

    async def assign_provider_queue(self, keys: Sequence[Key], provider: str) -> None:
        def assign() -> None:
            for key in keys:
                row = self._queue.waiting[key]
                due = row.due._replace(provider_queue=provider)
                self._queue.waiting[key] = replace(row, due=due)

        await self._queue.statement("assign", assign)

    async def expired(self, asked_before: datetime, limit: int) -> list[Attempted]:
        rows = [
            row
            for row in self._queue.waiting.values()
            if row.asked_at < asked_before and row.sending_by is None
        ]
        await self._queue.statement("expired", lambda: None)
        return [Attempted(*row.due.key, row.due.attempts) for row in rows][:limit]


def results(queue: MemoryQueue) -> Counter[DeliveryResult]:
    """How many messages ended how; each has ended once."""
    assert all(len(ends) == 1 for ends in queue.ends.values())
    return Counter(ends[0].outcome.result for ends in queue.ends.values() if ends[0].outcome.result)
