"""What a run has left behind: is all of it there, and is it the same for platform and floor?"""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    NOTIFY_DELIVERIES,
    PARTITIONS,
    REPORTS,
    SERVICES,
)
from tests.bench.figures import Difference, Trail

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


HOTLINE: Final = "channels.hotline"
READS: Final[Mapping[str, tuple[str, ...]]] = {
    "intake": (HOTLINE, CASE_EVENTS),
    "dispatch": (REPORTS, FIELD_ACTIONS),
    "notify": (CASE_EVENTS,),
    "metrics": (CASE_EVENTS, REPORTS, NOTIFY_DELIVERIES),
}
"""What each service reads in a lifecycle, each topic by one flow."""

EFFECTS: Final[Mapping[str, tuple[tuple[str, str, int], ...]]] = {
    "intake": (
        ("reports accepted", "SELECT count(*) FROM report WHERE outcome = 'accepted'", 1),
        ("vault", "SELECT count(*) FROM vault", 1),
        ("views", "SELECT count(*) FROM case_view WHERE seq = 6", 1),
        ("closed", "SELECT count(*) FROM timeline WHERE seq = 6 AND events->-1->>1 = 'closed'", 1),
        ("timeline", "SELECT sum(json_array_length(events)) FROM timeline", 6),
    ),
    "dispatch": (
        ("cases closed", "SELECT count(*) FROM \"case\" WHERE state = 'closed' AND seq = 6", 1),
        ("ledger", "SELECT count(*) FROM ledger", 6),
        ("actions done", "SELECT count(*) FROM answer WHERE refusal IS NULL", 2),
    ),
    "notify": (
        ("subjects closed", "SELECT count(*) FROM subject WHERE state = 'closed' AND seq = 6", 1),
        ("messages sent", "SELECT count(*) FROM message_done WHERE result = 'sent'", 4),
        ("messages waiting", "SELECT count(*) FROM message_waiting", 0),
    ),
    "metrics": (
        (
            "facts closed",
            "SELECT count(*) FROM fact WHERE NOT open AND closed_at IS NOT NULL AND seq = 6",
            1,
        ),
        ("reports counted", "SELECT count(*) FROM report WHERE accepted", 1),
        ("messages counted", "SELECT count(*) FROM message WHERE result = 'sent'", 4),
    ),
}
"""How many of what there must be for each lifecycle."""

LEFT_OVER: Final = ("outbox", "parked", "dead_letter")
TOPICS: Final = (
    HOTLINE,
    REPORTS,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    CASE_EVENTS,
    NOTIFY_DELIVERIES,
)
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "intake": ("report", "vault", "case_view"),
    "dispatch": ("case", "ledger", "answer"),
    "notify": ("subject", "message_waiting", "message_done"),
    "metrics": ("fact", "report", "message"),
}
"""Tables whose rows follow from the lifecycles alone, not from how they fell into batches."""

LOOK_EVERY_SECONDS: Final = 0.02
SAMPLE: Final = 400
SIZE_TOLERANCE: Final = 0.1
EXACT: Final = 0.001
"""PostgreSQL also counts rows of transactions that were rolled back and done again."""


class Books:
    """Reads one side's topics and databases; `databases` maps a service to its URL."""

    def __init__(self, bootstrap: str, prefix: str, databases: Mapping[str, str]) -> None:
        self._bootstrap = bootstrap
        self._prefix = prefix
        self._urls = databases
        self._connections: dict[str, Connection] = {}

    async def open(self) -> None:
        """Connect; the services' tables must be there."""
        self._consumer = AIOKafkaConsumer(bootstrap_servers=self._bootstrap)
        await self._consumer.start()
        for service in SERVICES:
            self._connections[service] = await asyncpg.connect(self._urls[service])

    async def close(self) -> None:
        """Let go of everything, so that the databases can be dropped."""
        for connection in self._connections.values():
            await connection.close(timeout=5)
        await self._consumer.stop()

    def _places(self, topic: str) -> list[TopicPartition]:
        return [TopicPartition(self._prefix + topic, p) for p in range(PARTITIONS)]

    async def ends(self) -> dict[str, int]:
        """How many records each topic has been given."""
        places = [place for topic in TOPICS for place in self._places(topic)]
        ends = await self._consumer.end_offsets(places)
        total: Counter[str] = Counter()
        for place, end in ends.items():
            total[place.topic.removeprefix(self._prefix)] += end
        return dict(total)

    async def settle(self, seconds: float) -> float:
        """Wait until everything that is on the topics has had its effects; returns the monotonic
        time of that. Raises TimeoutError naming what is missing."""
        ends = await self.ends()
        deadline = time.monotonic() + seconds
        missing = await self._missing(ends)
        while missing:
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds:.0f} s still not read: {', '.join(missing)}")
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            missing = await self._missing(ends)
        return time.monotonic()

    async def _missing(self, ends: Mapping[str, int]) -> list[str]:
        found = await asyncio.gather(
            *(self._missing_in(service, ends) for service in self._connections)
        )
        return [each for missing in found for each in missing]

    async def _missing_in(self, service: str, ends: Mapping[str, int]) -> list[str]:
        connection = self._connections[service]
        stands: Counter[str] = Counter()
        for topic, offset in await connection.fetch("SELECT topic, next_offset FROM position"):
            stands[topic.removeprefix(self._prefix)] += offset
        missing = [
            f"{service}: {ends[topic] - stands[topic]} of {topic}"
            for topic in READS[service]
            if stands[topic] < ends[topic]
        ]
        if await connection.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
            missing.append(f"{service}: outbox")
        return missing

    async def faults(self, lifecycles: int) -> list[str]:
        """What is not as so many lifecycles must leave it, each in words."""
        faults: list[str] = []
        for service, connection in self._connections.items():
            for what, statement, each in EFFECTS[service]:
                count = await connection.fetchval(statement)
                if count != each * lifecycles:
                    faults.append(f"{service}: {what}: {count}, not {each * lifecycles}")
            for table in LEFT_OVER:
                count = await connection.fetchval(f"SELECT count(*) FROM {table}")
                if count:
                    faults.append(f"{service}: {table} holds {count}")
        return faults

    async def trail(self, lifecycles: int) -> Trail:
        """What was written for one lifecycle. Ask once the services have ended: PostgreSQL's
        backends hand in their last counts when they go."""
        rows: dict[str, tuple[float, float, float]] = {}
        for service, connection in self._connections.items():
            await self._alone(connection)
            found = await connection.fetch(
                "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables"
            )
            for name, *counts in found:
                inserted, updated, deleted = (count / lifecycles for count in counts)
                rows[f"{service}.{name}"] = inserted, updated, deleted
        messages = {topic: end / lifecycles for topic, end in (await self.ends()).items()}
        sizes = {topic: await self._mean_bytes(topic) for topic in TOPICS}
        return Trail(rows, messages, sizes)

    async def _alone(self, connection: "Connection") -> None:
        """Wait until the services' backends have gone."""
        for _ in range(250):
            if not await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            ):
                return
            await asyncio.sleep(LOOK_EVERY_SECONDS)
        raise TimeoutError("connections of services that have ended stay open")

    async def _mean_bytes(self, topic: str) -> float:
        """Mean size of a record with its headers, of a sample of a topic."""
        place = self._places(topic)[0]
        self._consumer.assign([place])
        self._consumer.seek(place, 0)
        end = (await self._consumer.end_offsets([place]))[place]
        sizes: list[int] = []
        while len(sizes) < min(end, SAMPLE):
            for records in (await self._consumer.getmany(timeout_ms=200)).values():
                sizes += [
                    len(r.key or b"")
                    + len(r.value or b"")
                    + sum(len(name) + len(value or b"") for name, value in r.headers)
                    for r in records
                ]
        return sum(sizes) / max(len(sizes), 1)


def compare(floor: Trail, platform: Trail) -> list[Difference]:
    """Where the floor does not write what the platform writes, so that the ratio says nothing.

    Updates are not compared: how many there are depends on how events fall into batches.
    """
    found: list[Difference] = []
    for service, tables in TABLES.items():
        for table in tables:
            name = f"{service}.{table}"
            theirs, ours = floor.rows[name], platform.rows[name]
            if _differ(theirs[0], ours[0], EXACT) or _differ(theirs[2], ours[2], EXACT):
                found.append(Difference(f"{name}: rows inserted, deleted", theirs, ours))
    for topic in TOPICS:
        messages = floor.messages[topic], platform.messages[topic]
        if _differ(*messages, EXACT):
            found.append(Difference(f"{topic}: messages", *messages))
        size = floor.bytes[topic], platform.bytes[topic]
        if _differ(*size, SIZE_TOLERANCE):
            found.append(Difference(f"{topic}: bytes a message", *size))
    return found


def _differ(theirs: float, ours: float, tolerance: float) -> bool:
    return abs(theirs - ours) > tolerance * max(ours, theirs)
