"""`python -m lastmetre.dispatch.entrypoints.recover`: what `case.events` has lost is sent again.

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

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TextIO
from uuid import UUID

from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka.codec import ConsumedRecord, OutboxMessage, event_headers
from lastmetre.common.kafka.positions import StoredOffset
from lastmetre.common.kafka.topic_reader import Offsets, Topics, TopicsUnreadable, open_topics
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.postgres.outbox_table import append_outbox
from lastmetre.dispatch.adapters.postgres import cases, recovery
from lastmetre.dispatch.adapters.postgres.ledger import event_id
from lastmetre.dispatch.adapters.postgres.recovery import KeptEvent, TopicEvent
from lastmetre.dispatch.application.events import SOURCE
from lastmetre.dispatch.settings import RecoverSettings

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

CASES_AT_ONCE: Final = 200
SHOWN: Final = 100
PROGRESS_SECONDS: Final = 1.0

Taken = Callable[[Sequence[TopicEvent]], Awaitable[None]]


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

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "action": "recover",
            "dry_run": self.dry_run,
            "ok": self.ok,
            "events_on_topic": self.on_topic,
            "records_that_name_no_event": self.foreign,
            "events_waiting_in_outbox": self.waiting,
            "missing_events": self.missing,
            "cases_with_missing_events": self.cases,
            "sent_events": self.sent,
            "events_without_body": self.without_body,
            "bodies_kept": self.bodies_kept,
            "relay_released": self.relay_released,
            "seconds": round(self.seconds, 3),
            "cannot_be_had_again": [
                {"case_id": str(case_id), "number": number, "seqs": seqs}
                for case_id, number, seqs in self.lost
            ],
        }


class Progress:
    """How far it has come, once a second, on a stream of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said_at = 0.0

    def say(self, what: str, done: int, total: int) -> None:
        """Tell it, if it is time to."""
        now = time.monotonic()
        if now - self._said_at >= PROGRESS_SECONDS:
            self._said_at = now
            self._stream.write(f"{what} {done}/{total}\n")
            self._stream.flush()


class LedgerReader:
    """Reads `case.events` from its beginning, on and on to where it ends."""

    def __init__(self, topics: Topics, outcome: Outcome, progress: Progress) -> None:
        self._topics = topics
        self._outcome = outcome
        self._progress = progress
        self._read_to: Offsets | None = None
        self.ends: dict[int, StoredOffset | None] = dict.fromkeys(range(PARTITIONS))
        """Where each partition ends, with the append time of its last record."""

    async def read(self, take: Taken) -> None:
        """Give `take` all events up to the present end. Raises TopicsUnreadable."""
        places = await self._topics.places([CASE_EVENTS])
        start = self._read_to or await self._topics.beginnings(places)
        until = await self._topics.ends(places)
        done, total = sum(start.values()), sum(until.values())
        async for batch in self._topics.batches(places, start, until):
            last = batch[-1]
            self.ends[last.partition] = StoredOffset(last.offset + 1, last.timestamp)
            if found := self._events(batch):
                await take(found)
            done += len(batch)
            self._progress.say("read", done, total)
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


async def recover(
    settings: RecoverSettings, *, dry_run: bool, progress: TextIO = sys.stderr
) -> Outcome:
    """Send again what the topic lacks, or only count it.

    Raises CannotRecover, TopicsUnreadable, and what asyncpg and aiokafka raise.
    """
    started = time.monotonic()
    outcome, told = Outcome(dry_run), Progress(progress)
    async with (
        _session(settings) as connection,
        open_topics(
            settings.kafka, settings.topic_prefix, "dispatch-recover", earliest_if_gone=False
        ) as topics,
    ):
        reader = LedgerReader(topics, outcome, told)

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
            await _send_missing(connection, outcome, told)
            if await recovery.can_acknowledge(connection):
                await recovery.acknowledge(connection, reader.ends)
                outcome.relay_released = True
    outcome.seconds = time.monotonic() - started
    return outcome


async def _send_missing(connection: "Connection", outcome: Outcome, progress: Progress) -> None:
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
        progress.say("sent", outcome.sent, outcome.missing - outcome.without_body)


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
async def _session(settings: RecoverSettings) -> "AsyncIterator[Connection]":
    connection = await recovery.connect(settings.database_url.get_secret_value())
    try:
        if not await recovery.begin(connection):
            raise CannotRecover("another recovery is at work")
        yield connection
    finally:
        await connection.close(timeout=5)


def main() -> int:
    """Exit code: 0 nothing is missing any more, 1 something is or it cannot be done, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.dispatch.entrypoints.recover",
        description=(__doc__ or "").split("\n", 1)[0],
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="count what is missing, send nothing"
    )
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    arguments = parser.parse_args()
    try:
        outcome = asyncio.run(recover(RecoverSettings(), dry_run=arguments.dry_run))
    except (CannotRecover, TopicsUnreadable, KafkaError, *DATABASE_ERRORS) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    if arguments.json:
        sys.stdout.write(json.dumps(outcome.document()) + "\n")
    else:
        sys.stdout.write(_words(outcome))
    return 0 if outcome.ok else 1


def _words(outcome: Outcome) -> str:
    lines = [f"{outcome.missing} events of {outcome.cases} cases are missing on the topic"]
    if not outcome.dry_run:
        lines.append(f"{outcome.sent} are in the outbox; dispatch sends them when it runs")
    if outcome.bodies_kept:
        lines.append(f"{outcome.bodies_kept} events have their body in the ledger now")
    if outcome.without_body:
        lines.append(f"{outcome.without_body} cannot be had again: the ledger has no body of them")
        lines += [
            f"  {number}: seq {', '.join(map(str, seqs))}" for _, number, seqs in outcome.lost
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
