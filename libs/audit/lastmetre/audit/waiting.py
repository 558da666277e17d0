"""Waiting until nothing is in flight: every reader at its topics' ends, nothing left to send."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from lastmetre.audit.consistent_cut import COUNTED_TOPICS, Targets
from lastmetre.audit.snapshot import connect
from lastmetre.common.contracts.readers import READERS
from lastmetre.common.kafka.topic_reader import Place, Topics, open_topics

LOOK_EVERY_SECONDS: Final = 0.3

# What a service that came back from the log still has to bring together.
RECOVERING: Final = {
    "dispatch": (
        "SELECT (SELECT count(*) FROM unfinished_decision)"
        " + (SELECT count(*) FROM unfinished_merge)",
        "unfinished decisions",
    ),
    "notify": (
        "SELECT count(*) FROM adopted_delivery",
        "ends of messages that nothing has asked for yet",
    ),
}

Say = Callable[[Counter[str]], None]


async def wait_until_quiet(targets: Targets, timeout: float, say: Say) -> Counter[str]:
    """Wait at most `timeout` seconds; returns what is still in flight, by who has it to do."""
    deadline = time.monotonic() + timeout
    async with AsyncExitStack() as stack:
        topics = await stack.enter_async_context(open_topics(targets.kafka, targets.prefix))
        connections: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
        for service in READERS:
            connections[service] = await connect(service, targets.databases)
            stack.push_async_callback(connections[service].close, timeout=5)
        places = await topics.places(COUNTED_TOPICS)
        while True:
            before = await topics.ends(places)
            pending = await _pending(topics, before, connections)
            # Quiet only counts if nothing moved while we looked.
            if not pending and before == await topics.ends(places):
                return pending
            say(pending)
            if time.monotonic() > deadline:
                return pending
            await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _pending(
    topics: Topics,
    ends: Mapping[Place, int],
    connections: "Mapping[str, asyncpg.Connection[asyncpg.Record]]",
) -> Counter[str]:
    pending: Counter[str] = Counter()
    for service, connection in connections.items():
        if waiting := await connection.fetchval("SELECT sum(records) FROM outbox"):
            pending[f"{service}: outbox"] = waiting
        rows = await connection.fetch("SELECT flow, topic, partition, next_offset FROM position")
        positions = {(row[0], (row[1], row[2])): row[3] for row in rows}
        for topic, flow in READERS[service].items():
            behind = 0
            for place, end in ends.items():
                if place[0] == topic:
                    position = positions.get((flow, place), 0)
                    behind += await _behind(topics, place, position, end)
            if behind:
                pending[f"{service}: reads {topic}"] = behind
    if waiting := await connections["notify"].fetchval("SELECT count(*) FROM message_waiting"):
        pending["notify: messages to be sent"] = waiting
    for service, (query, what) in RECOVERING.items():
        if waiting := await connections[service].fetchval(query):
            pending[f"{service}: {what}"] = waiting
    return pending


async def _behind(topics: Topics, place: Place, position: int, end: int) -> int:
    """How many offsets a reader has before it; 0 if no record is among them."""
    if position >= end:
        return 0
    first = max(position, (await topics.beginnings([place]))[place])
    # The last offsets may be a transaction's: its mark, or what it took back. Nobody reads those.
    if await topics.is_empty(place, first, end):
        return 0
    return end - first
