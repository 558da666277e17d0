"""A consumer that makes spans handles records as one that makes none, whatever their headers."""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, packed
from lastmetre.common.kafka.consumer import BatchConsumer
from lastmetre.common.kafka.ports import TopicPartition
from lastmetre.common.outbox.unit_of_work import NoCipher, UnitOfWork
from tests.simulation.broker import Broker
from tests.simulation.clock import VirtualClock, run_virtually
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.store import SimulatedDatabase, Store
from tests.simulation.tables import TABLES
from tests.simulation.world import Machine, World
from tests.support.spans import context_of, kept_spans, links_of, parent_of
from tests.unit.core.test_consumer import Outbox

HERE: Final = TopicPartition("channels.app", 0)
ONE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
BAD: Final = b"bad"
RECORDS: Final = [
    ({"traceparent": ONE}, b"one"),
    ({}, b"old"),
    ({"traceparent": "nonsense"}, b"nonsense"),
    ({"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"}, b"zeros"),
    ({"traceparent": OTHER}, BAD),
    ({"traceparent": OTHER}, b"other"),
]


async def consumed() -> tuple[dict[bytes | None, str | None], Store]:
    """What the handler saw of each record's trace, and what is stored once all is read."""
    world = World(1)
    broker, machine, store = Broker(world, [HERE.topic]), Machine(world, "p"), Store(world, "s")
    seen: dict[bytes | None, str | None] = {}

    async def handle(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
        for record in records:
            if record.value == BAD:
                raise BadRecord("13800138000")
            seen[record.value] = record.traceparent

    consumer = BatchConsumer(
        "c", [HERE.topic], handle, service="s",
        connect=lambda: SimulatedConsumer(broker, machine, "g", [HERE.topic]),
        database=SimulatedDatabase(store, machine), tables=TABLES, outbox=Outbox(),
        clock=VirtualClock(), cipher=NoCipher(), random=Random(1),
    )  # fmt: skip
    broker.logs[HERE].append([(b"key", packed(headers), body) for headers, body in RECORDS])
    async with asyncio.TaskGroup() as group:
        running = group.create_task(consumer.run())
        await asyncio.sleep(30)
        consumer.stop()
        await running
    return seen, store


async def test_the_same_is_done_with_spans_and_without() -> None:
    without, store = await asyncio.to_thread(run_virtually, consumed())
    async with kept_spans() as kept:
        seen, traced_store = await asyncio.to_thread(run_virtually, consumed())
    assert seen.keys() == without.keys() == {body for _, body in RECORDS if body != BAD}
    stored = store.table("position")["c", HERE].next_offset
    assert traced_store.table("position")["c", HERE].next_offset == stored == len(RECORDS)
    ((dead, _),) = traced_store.table("dead_letter").values()
    assert (dead.value, dead.header("traceparent")) == (BAD, OTHER.encode())

    spans = kept.named("process s.c")
    assert all("13800138000" not in each.to_json() for each in spans)
    by_context = {context_of(each): each for each in spans}
    handled = {body: by_context[context or ""] for body, context in seen.items()}
    assert parent_of(handled[b"one"]) == ONE.split("-")[2]
    assert parent_of(handled[b"other"]) == OTHER.split("-")[2]
    for old in (b"old", b"nonsense", b"zeros"):
        assert parent_of(handled[old]) is None
    batches = [each for each in spans if ONE.split("-")[2] in links_of(each)]
    assert {parent_of(each) for each in batches} == {None}
    assert without[b"one"] == ONE
    assert without[b"nonsense"] is None
