"""What the topic `case.events` has lost is sent again.

The topic was deleted, truncated, or came back from a backup: the relay has stopped, for the log is
behind its database. Events that the topic lacks are put into the outbox as they were, with the same
key, headers and body, each case's in order; then the relay is told that it may go on.

May be repeated and interrupted, and dispatch may run: a case is locked while its events are put
into the outbox, so that what is decided meanwhile stands behind them, and what already waits in the
outbox is put back behind what is missing before it. Only what the relay had in hand when it noticed
(by the offset that an answer names) can come twice, and ahead of earlier events: readers drop what
they know by its `seq`, and keep what comes too early until the gap before it closes.

An event without a body (of a build that did not keep them) is named, for it cannot be had again.
While the topic has it, its body is kept: a recovery of a topic that has lost nothing is the way to
fill in the bodies of older rows.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka.codec import ConsumedRecord, OutboxMessage, event_headers
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.kafka.topic_reader import Offsets, Topics
from lastmetre.common.kafka.writer_epochs import WriterEpochs
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.outbox_table import append_outbox
from lastmetre.dispatch.adapters.postgres import cases, recovery
from lastmetre.dispatch.adapters.postgres.ledger import event_id
from lastmetre.dispatch.adapters.postgres.recovery import KeptEvent, TopicEvent
from lastmetre.dispatch.application.events import SOURCE

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

CASES_AT_ONCE: Final = 200
SHOWN: Final = 100

Taken = Callable[[Sequence[TopicEvent]], Awaitable[None]]
OpenTopics = Callable[[], AbstractAsyncContextManager[Topics]]
"""The topics, where an offset that is no longer kept is an error."""
Tell = Callable[[str, int, int], None]
"""Told what is done, how much of it, and how much there is to do in all."""


class CannotRecover(Exception):
    """Why it cannot be done now; it may be tried again."""


@dataclass(slots=True)
class Outcome:
    """What was found and done."""

    dry_run: bool
    on_topic: int = 0
    foreign: int = 0
    """Records on the topic that name no event."""
    waiting: int = 0
    missing: int = 0
    cases: int = 0
    without_body: int = 0
    sent: int = 0
    bodies_kept: int = 0
    relay_released: bool = False
    seconds: float = 0.0
    lost: list[tuple[UUID, str, list[int]]] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Nothing is missing any more."""
        return self.without_body == 0 and (self.missing == 0 or not self.dry_run)


class LedgerReader:
    """Reads `case.events` from its beginning, on and on to where it ends."""

    def __init__(self, topics: Topics, outcome: Outcome, tell: Tell) -> None:
        self._topics = topics
        self._outcome = outcome
        self._tell = tell
        self._read_to: Offsets | None = None
        self._epochs = WriterEpochs()
        self.ends: dict[int, StoredOffset | None] = dict.fromkeys(range(PARTITIONS))
        """Where each partition ends, with the append time and the epoch of its last record."""

    async def read(self, take: Taken) -> None:
        """Give `take` all events up to the present end. Raises TopicsUnreadable."""
        places = await self._topics.places([CASE_EVENTS])
        start = self._read_to or await self._topics.beginnings(places)
        until = await self._topics.ends(places)
        done, total = sum(start.values()), sum(until.values())
        async for batch in self._topics.batches(places, start, until):
            last, in_force = batch[-1], self._epochs.in_force(batch)
            self.ends[last.partition] = StoredOffset(
                last.offset + 1, last.timestamp, writer_epoch=self._epochs.of(last.partition)
            )
            if found := self._events(in_force):
                await take(found)
            done += len(batch)
            self._tell("read", done, total)
        self._read_to = until

    def _events(self, records: Sequence[ConsumedRecord]) -> list[TopicEvent]:
        found: list[TopicEvent] = []
        for record in records:
            identity = event_id(record.header("ce_id"))
            if identity is None:
                self._outcome.foreign += 1
                continue
            trace = record.header("traceparent")
            found.append(
                TopicEvent(*identity, record.value, trace.decode("latin-1") if trace else None)
            )
        self._outcome.on_topic += len(found)
        return found


class RecoverLedger:
    """Sends again what the topic lacks, or only counts it."""

    def __init__(self, dsn: str, open_topics: OpenTopics, tell: Tell) -> None:
        self._dsn = dsn
        self._open_topics = open_topics
        self._tell = tell

    async def __call__(self, *, dry_run: bool) -> Outcome:
        """Raises CannotRecover, TopicsUnreadable, and what asyncpg and aiokafka raise."""
        started = time.monotonic()
        outcome = Outcome(dry_run)
        async with _session(self._dsn) as connection, self._open_topics() as topics:
            reader = LedgerReader(topics, outcome, self._tell)

            async def before_comparing(found: Sequence[TopicEvent]) -> None:
                await recovery.note_on_topic(connection, found)
                if not dry_run:
                    outcome.bodies_kept += await recovery.keep_bodies(connection, found)

            async def after_comparing(found: Sequence[TopicEvent]) -> None:
                await recovery.note_found(connection, found)

            await reader.read(before_comparing)
            outcome.waiting = await recovery.compare(connection)
            # What had left the outbox by then, but came behind the end of the first reading.
            await reader.read(after_comparing)
            missing = await recovery.count_missing(connection)
            outcome.missing, outcome.cases, outcome.without_body = missing
            outcome.lost = await recovery.lost(connection, SHOWN)
            if not dry_run:
                await _send_missing(connection, outcome, self._tell)
                if await recovery.can_acknowledge(connection):
                    await recovery.acknowledge(connection, reader.ends)
                    outcome.relay_released = True
        outcome.seconds = time.monotonic() - started
        return outcome


async def _send_missing(connection: "Connection", outcome: Outcome, tell: Tell) -> None:
    """Some cases at a time, each time in a transaction that holds them."""
    last: UUID | None = None
    while case_ids := await recovery.next_cases(connection, last, CASES_AT_ONCE):
        async with connection.transaction():
            await cases.lock_cases(connection, case_ids)
            taken = await recovery.take_out_of_outbox(connection, case_ids)
            events = await recovery.to_send(connection, case_ids, taken)
            await append_outbox(connection, batches_of([_as_it_was(each) for each in events]))
        outcome.sent += len(events) - len(taken)
        last = case_ids[-1]
        tell("sent", outcome.sent, outcome.missing - outcome.without_body)


def _as_it_was(event: KeptEvent) -> OutboxMessage:
    key = str(event.case_id)
    headers = event_headers(
        event.type,
        key=key,
        event_id=f"{key}:{event.seq}",
        source=SOURCE,
        occurred_at=event.occurred_at,
        recorded_at=event.recorded_at,
        traceparent=event.traceparent or "",
    )
    return OutboxMessage(CASE_EVENTS, key.encode(), headers, event.body)


@asynccontextmanager
async def _session(dsn: str) -> "AsyncIterator[Connection]":
    connection = await recovery.connect(dsn)
    try:
        if not await recovery.begin(connection):
            raise CannotRecover("another recovery is at work")
        yield connection
    finally:
        await connection.close(timeout=5)
