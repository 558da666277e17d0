"""The tool `rebuild`: the facts worked out anew from the whole ledger.

Rebuilding only applies events: nothing is sent. The new facts grow in a table beside the live one,
never further than that one's stored positions, and take its place in one transaction when both
stand at the same ones: for the last few events the live flow waits, for the exchange its readers.
With `--verify` they are compared with the live facts instead. Of an event that was a dead letter
and replayed with a corrected body, that body counts, not the topic's.
"""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TextIO
from uuid import UUID

import asyncpg
from aiokafka.errors import KafkaError

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import UnknownEventType
from lastmetre.common.kafka.topic_reader import (
    STALLED_SECONDS,
    Topics,
    TopicsUnreadable,
    open_topics,
)
from lastmetre.common.postgres.dead_letter_table import corrections
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.metrics.adapters.postgres import rebuilding
from lastmetre.metrics.application.rebuild_target import RebuildTarget
from lastmetre.metrics.entrypoints.consumers import CASES_FLOW
from lastmetre.metrics.settings import RebuildSettings

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

NEAR: Final = 50
"""So many records behind, the rest can be read while the live flow is kept waiting."""
NEAR_ENOUGH: Final = 2000
"""The same, where the live flow is as quick as we are."""
ROUNDS: Final = 20
LOCKED_STALLED_SECONDS: Final = 5.0
LOCK_TIMEOUT: Final = "5s"
SWAP_ATTEMPTS: Final = 12
SWAP_RETRY_SECONDS: Final = 1.0
SHOWN: Final = 100
PROGRESS_SECONDS: Final = 1.0


class CannotRebuild(Exception):
    """Why it cannot be done now; the live facts are as they were."""


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    verified: bool
    cases: int
    events: int
    unreadable: int
    waiting: int
    """Events behind a hole in their case's ledger."""
    seconds: float
    differing: list[UUID]
    examples: list[dict[str, Any]]

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "action": "verify" if self.verified else "rebuild",
            "ok": not self.differing,
            "cases": self.cases,
            "events": self.events,
            "unreadable_events": self.unreadable,
            "events_behind_a_hole": self.waiting,
            "seconds": round(self.seconds, 3),
            "differing_cases": [str(each) for each in self.differing],
            "differences": self.examples,
        }


class Progress:
    """How far it has come, once a second, on a stream of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._said_at = 0.0

    def say(self, target: RebuildTarget, positions: Mapping[int, int]) -> None:
        """Tell events read and to read, if it is time to."""
        now = time.monotonic()
        if now - self._said_at >= PROGRESS_SECONDS:
            self._said_at = now
            total = target.events + target.behind(positions)
            self._stream.write(f"events {target.events}/{total}\n")
            self._stream.flush()


class Reader:
    """Reads the ledger from the earliest record on."""

    def __init__(self, topics: Topics, progress: Progress) -> None:
        self._topics = topics
        self._progress = progress

    async def read(
        self,
        target: RebuildTarget,
        until: Mapping[int, int],
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        """Feed the target up to these positions, not a record further.

        Raises TopicsUnreadable if the broker stays silent, OffsetOutOfRangeError if it no longer
        has the records.
        """
        start = {(CASE_EVENTS, each): target.at.get(each, 0) for each in until}
        ends = {(CASE_EVENTS, each): end for each, end in until.items()}
        async for records in self._topics.batches(ends, start, ends, stalled_seconds):
            await target.apply(records)
            self._progress.say(target, until)


async def rebuild(
    settings: RebuildSettings, *, verify: bool, progress: TextIO = sys.stderr
) -> Outcome:
    """Rebuild the facts, or compare them with a rebuild. Works beside the running service.

    Raises CannotRebuild, TopicsUnreadable, and what asyncpg and aiokafka raise.
    """
    started = time.monotonic()
    async with (
        _beside_live(settings) as connection,
        open_topics(
            settings.kafka, settings.topic_prefix, "metrics-rebuild", earliest_if_gone=False
        ) as topics,
    ):
        target = RebuildTarget(connection, settings.city_time_zone)
        await _correct(connection, target)
        reader = Reader(topics, Progress(progress))
        await _catch_up(connection, target, reader)
        if verify:
            differing, examples, cases = await _compare(connection, target, reader)
        else:
            differing, examples = [], []
            async with _connected(settings) as locks:
                cases = await _exchange(connection, locks, target, reader)
    return Outcome(
        verified=verify,
        cases=cases,
        events=target.events,
        unreadable=target.unreadable,
        waiting=target.waiting,
        seconds=time.monotonic() - started,
        differing=differing,
        examples=examples,
    )


@asynccontextmanager
async def _connected(
    settings: RebuildSettings,
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    connection = await asyncpg.connect(
        settings.database_url.get_secret_value(),
        timeout=30,
        server_settings={"application_name": "metrics-rebuild", "timezone": "UTC"},
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def _beside_live(
    settings: RebuildSettings,
) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    """A connection of its own, with an empty rebuild table: it holds the lock for as long."""
    async with _connected(settings) as connection:
        if not await rebuilding.begin(connection):
            raise CannotRebuild("another rebuild is at work")
        try:
            yield connection
        finally:
            await rebuilding.discard(connection)


Finished = tuple[list[UUID], list[dict[str, Any]], int]


async def _correct(connection: "Connection", target: RebuildTarget) -> None:
    await target.correct(await corrections(connection, CASES_FLOW, CASE_EVENTS))


async def _catch_up(connection: "Connection", target: RebuildTarget, reader: Reader) -> None:
    """Follow the live flow until only a little is left to read."""
    rounds = 0
    while True:
        positions = await rebuilding.positions(connection, CASES_FLOW, CASE_EVENTS)
        if target.behind(positions) <= (NEAR if rounds < ROUNDS else NEAR_ENOUGH):
            return
        await reader.read(target, positions)
        rounds += 1


async def _compare(connection: "Connection", target: RebuildTarget, reader: Reader) -> Finished:
    """Compare at one moment: positions and live facts from one snapshot, which blocks nobody."""
    async with connection.transaction(isolation="repeatable_read"):
        positions = await rebuilding.positions(connection, CASES_FLOW, CASE_EVENTS)
        await _correct(connection, target)
        await reader.read(target, positions)
        differing = await rebuilding.differences(connection)
        shown = await rebuilding.both(connection, differing[:SHOWN])
        cases = await rebuilding.size(connection)
    examples = [
        {
            "case_id": str(each.case_id),
            "live_seq": each.live.seq if each.live else None,
            "rebuilt_seq": each.rebuilt.seq if each.rebuilt else None,
            "fields": each.fields,
        }
        for each in shown
    ]
    return differing, examples, cases


async def _exchange(
    connection: "Connection", locks: "Connection", target: RebuildTarget, reader: Reader
) -> int:
    """Put the rebuilt table in place of the live one; returns how many cases it has.

    Whoever reads the live table for long is waited for only a moment at a time: others would wait
    behind us. What is read meanwhile is written by a `connection` that holds no locks, and stays.
    """
    for _ in range(SWAP_ATTEMPTS):
        try:
            return await _swap(connection, locks, target, reader)
        except asyncpg.LockNotAvailableError:
            await asyncio.sleep(SWAP_RETRY_SECONDS)
            await _catch_up(connection, target, reader)
    raise CannotRebuild("the live table is in use all the time")


async def _swap(
    connection: "Connection", locks: "Connection", target: RebuildTarget, reader: Reader
) -> int:
    async with locks.transaction():
        await locks.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        await rebuilding.lock_consumers(locks, CASES_FLOW, CASE_EVENTS)
        await _read_rest(connection, target, reader)
        await rebuilding.lock_facts(locks)
        # Nothing, but for a batch that was the first of its partition.
        await _read_rest(connection, target, reader)
        cases = await rebuilding.size(locks)
        await rebuilding.swap(locks, CASES_FLOW)
    return cases


async def _read_rest(connection: "Connection", target: RebuildTarget, reader: Reader) -> None:
    positions = await rebuilding.positions(connection, CASES_FLOW, CASE_EVENTS)
    await _correct(connection, target)
    await reader.read(target, positions, LOCKED_STALLED_SECONDS)


def main() -> int:
    """Exit code: 0 fine, 1 differences or not possible now, 2 used wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.metrics.entrypoints.rebuild", description=__doc__
    )
    parser.add_argument("--verify", action="store_true", help="compare, change nothing")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    arguments = parser.parse_args()
    try:
        outcome = asyncio.run(rebuild(RebuildSettings(), verify=arguments.verify))
    except (
        CannotRebuild,
        TopicsUnreadable,
        UnknownEventType,
        KafkaError,
        asyncpg.PostgresError,
        *DATABASE_ERRORS,
    ) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    if arguments.json:
        sys.stdout.write(json.dumps(outcome.document()) + "\n")
    else:
        sys.stdout.write(_words(outcome))
    return 1 if outcome.differing else 0


def _words(outcome: Outcome) -> str:
    done = "verified" if outcome.verified else "rebuilt"
    lines = [f"{outcome.cases} cases {done} from {outcome.events} events"
             f" in {outcome.seconds:.1f} s"]  # fmt: skip
    if outcome.unreadable or outcome.waiting:
        lines.append(
            f"{outcome.unreadable} events cannot be read, {outcome.waiting} wait behind a hole"
        )
    if outcome.differing:
        lines.append(f"{len(outcome.differing)} cases differ:")
        lines += [f"  {each['case_id']}: {', '.join(each['fields']) or 'missing'}"
                  for each in outcome.examples]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
