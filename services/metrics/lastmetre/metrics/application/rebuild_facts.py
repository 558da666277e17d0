"""The facts are worked out anew from the whole ledger, in place of the live ones or against them.

Rebuilding only applies events: nothing is sent. The new facts grow in a table beside the live one,
never further than that one's stored positions, and take its place in one transaction when both
stand at the same ones: for the last few events the live consumer waits, for the exchange its
readers. Of an event that was a dead letter and replayed with a corrected body, that body counts,
not the topic's.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.topic_reader import STALLED_SECONDS, Topics
from lastmetre.common.postgres.dead_letter_table import corrections
from lastmetre.metrics.adapters.postgres import rebuilding
from lastmetre.metrics.application.fold_case_events import CONSUMER
from lastmetre.metrics.application.rebuild_target import RebuildTarget
from lastmetre.metrics.domain.fact import Difference

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

NEAR: Final = 50
"""So many records behind, the rest can be read while the live consumer is kept waiting."""
NEAR_ENOUGH: Final = 2000
"""The same, where the live consumer is as quick as we are."""
ROUNDS: Final = 20
LOCKED_STALLED_SECONDS: Final = 5.0
LOCK_TIMEOUT: Final = "5s"
SWAP_ATTEMPTS: Final = 12
SWAP_RETRY_SECONDS: Final = 1.0
SHOWN: Final = 100

OpenTopics = Callable[[], AbstractAsyncContextManager[Topics]]
"""The topics, where an offset that is no longer kept is an error."""
Tell = Callable[[int, int], None]
"""Told events read, and how many there are to read in all."""


class CannotRebuild(Exception):
    """Why it cannot be done now; the live facts are as they were."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `differing` and `examples` are empty where nothing was compared."""

    cases: int
    events: int
    unreadable: int
    waiting: int
    """Events behind a hole in their case's ledger."""
    seconds: float
    differing: Sequence[UUID] = ()
    examples: Sequence[Difference] = ()


class LedgerReader:
    """Reads the ledger into the facts beside the live ones, from the earliest record on."""

    def __init__(
        self, topics: Topics, connection: "Connection", target: RebuildTarget, tell: Tell
    ) -> None:
        self._topics = topics
        self._connection = connection
        self.target = target
        self._tell = tell

    async def positions(self) -> Mapping[int, int]:
        """Where the live facts stand."""
        return await rebuilding.positions(self._connection, CONSUMER, CASE_EVENTS)

    async def correct(self) -> None:
        """Take what was corrected by hand as it was corrected."""
        await self.target.correct(await corrections(self._connection, CONSUMER, CASE_EVENTS))

    async def read(
        self, until: Mapping[int, int], stalled_seconds: float = STALLED_SECONDS
    ) -> None:
        """Up to these positions, not a record further.

        Raises TopicsUnreadable if the broker stays silent, OffsetOutOfRangeError if it no longer
        has the records.
        """
        start = {(CASE_EVENTS, each): self.target.at.get(each, 0) for each in until}
        ends = {(CASE_EVENTS, each): end for each, end in until.items()}
        async for records in self._topics.batches(ends, start, ends, stalled_seconds):
            await self.target.apply(records)
            self._tell(self.target.events, self.target.events + self.target.behind(until))

    async def catch_up(self) -> None:
        """Follow the live consumer until only a little is left to read."""
        rounds = 0
        while True:
            positions = await self.positions()
            if self.target.behind(positions) <= (NEAR if rounds < ROUNDS else NEAR_ENOUGH):
                return
            await self.read(positions)
            rounds += 1

    async def read_rest(self) -> None:
        """The last few events, while the live consumer waits."""
        positions = await self.positions()
        await self.correct()
        await self.read(positions, LOCKED_STALLED_SECONDS)


class _BesideLive:
    """What rebuilding and verifying have in common. Works beside the running service.

    They raise CannotRebuild, TopicsUnreadable, and what asyncpg and aiokafka raise.
    """

    def __init__(
        self, database_url: str, open_topics: OpenTopics, zone: ZoneInfo, tell: Tell
    ) -> None:
        self._database_url = database_url
        self._open_topics = open_topics
        self._zone = zone
        self._tell = tell

    @asynccontextmanager
    async def _caught_up(self) -> "AsyncIterator[tuple[Connection, LedgerReader]]":
        """A connection of its own, which holds the lock as long, and facts nearly as new."""
        async with rebuilding.connected(self._database_url) as connection:
            if not await rebuilding.begin(connection):
                raise CannotRebuild("another rebuild is at work")
            try:
                async with self._open_topics() as topics:
                    target = RebuildTarget(connection, self._zone)
                    reader = LedgerReader(topics, connection, target, self._tell)
                    await reader.correct()
                    await reader.catch_up()
                    yield connection, reader
            finally:
                await rebuilding.discard(connection)


class RebuildFacts(_BesideLive):
    """Puts the rebuilt facts in place of the live ones."""

    async def __call__(self) -> Outcome:
        """The exchange is one transaction."""
        started = time.monotonic()
        async with (
            self._caught_up() as (_, reader),
            rebuilding.connected(self._database_url) as locks,
        ):
            cases = await self._exchange(locks, reader)
        return _outcome(reader.target, cases, started)

    async def _exchange(self, locks: "Connection", reader: LedgerReader) -> int:
        """Returns how many cases there are.

        Whoever reads the live table for long is waited for only a moment at a time: others would
        wait behind us. What is read meanwhile is written by the reader's connection, which holds
        no locks, and stays.
        """
        for _ in range(SWAP_ATTEMPTS):
            try:
                return await self._swap(locks, reader)
            except asyncpg.LockNotAvailableError:
                await asyncio.sleep(SWAP_RETRY_SECONDS)
                await reader.catch_up()
        raise CannotRebuild("the live table is in use all the time")

    async def _swap(self, locks: "Connection", reader: LedgerReader) -> int:
        async with locks.transaction():
            await rebuilding.wait_for_locks(locks, LOCK_TIMEOUT)
            await rebuilding.lock_consumers(locks, CONSUMER, CASE_EVENTS)
            await reader.read_rest()
            await rebuilding.lock_facts(locks)
            # Nothing, but for a batch that was the first of its partition.
            await reader.read_rest()
            cases = await rebuilding.size(locks)
            await rebuilding.swap(locks, CONSUMER)
        return cases


class VerifyFacts(_BesideLive):
    """Compares the rebuilt facts with the live ones, and changes nothing."""

    async def __call__(self) -> Outcome:
        """At one moment: positions and live facts are from one snapshot, which blocks nobody."""
        started = time.monotonic()
        async with (
            self._caught_up() as (connection, reader),
            connection.transaction(isolation="repeatable_read"),
        ):
            positions = await reader.positions()
            await reader.correct()
            await reader.read(positions)
            differing = await rebuilding.differences(connection)
            examples = await rebuilding.both(connection, differing[:SHOWN])
            cases = await rebuilding.size(connection)
        return _outcome(reader.target, cases, started, differing, examples)


def _outcome(
    target: RebuildTarget,
    cases: int,
    started: float,
    differing: Sequence[UUID] = (),
    examples: Sequence[Difference] = (),
) -> Outcome:
    return Outcome(
        cases=cases,
        events=target.events,
        unreadable=target.unreadable,
        waiting=target.waiting,
        seconds=time.monotonic() - started,
        differing=differing,
        examples=examples,
    )
