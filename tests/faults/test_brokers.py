"""Three brokers: one killed, one frozen, two or all away, one partition without a leader."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS, dead_letter_topic
from lastmetre.common.kafka.partitioner import partitions_of
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig.brokers import Broker
from tests.faults.rig.rig import Rig, Shape
from tests.faults.rig.watching import Watching
from tests.support.city import City

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="brokers"),
    pytest.mark.timeout(420),
]  # fmt: skip

CHANNEL = "channels.app"
DEAD_LETTERS = dead_letter_topic("dispatch")
TAKES_AGAIN_SECONDS = 6.0
SAYS_SO_SECONDS = 3.0


@pytest.fixture(scope="module")
def shape() -> Shape:
    return Shape(brokers=3)


@asynccontextmanager
async def away(rig: Rig, brokers: Sequence[Broker]) -> "AsyncIterator[None]":
    """Killed at the same moment; at last started again."""
    for each in brokers:
        each.process.kill()
    try:
        yield
    finally:
        for each in brokers:
            await asyncio.to_thread(each.kill)
            each.start()
        await asyncio.to_thread(rig.brokers.wait)


async def test_leader_is_killed(rig: Rig, begin: Begin) -> None:
    async with begin(rig, "leader of channels.app-0 killed, 20 s") as trial, trial.fault():
        leader = await rig.brokers.leader(CHANNEL)
        async with away(rig, [leader]):
            await asyncio.sleep(20)


async def test_leader_is_frozen(rig: Rig, begin: Begin) -> None:
    """Its partitions take reports again long before it thaws."""
    async with begin(rig, "leader frozen 20 s") as trial:
        async with trial.fault():
            leader = await rig.brokers.leader(CHANNEL)
            leader.process.freeze()
            try:
                await asyncio.sleep(20)
            finally:
                leader.process.thaw()
        longest = trial.load.slowest(time.monotonic() - 60)
        trial.figures.notes["slowest report, s"] = round(longest, 1)
    assert longest < TAKES_AGAIN_SECONDS


@pytest.mark.parametrize("count", [2, 3])
async def test_no_quorum(rig: Rig, begin: Begin, count: int) -> None:
    """Whoever asks the edge hears of it, and whoever asks for everything hears of it from all."""
    async with begin(rig, f"{count} of three brokers down 30 s") as trial, trial.fault():
        async with away(rig, rig.brokers.nodes[:count]):
            began = time.monotonic()
            await asyncio.sleep(30)
        said = [s for s in rig.services.samples if s.at > began and s.name == "intake-0"]
        first = next((round(s.at - began, 1) for s in said if s.ready == 503), None)
        trial.figures.notes["/readyz of intake says so after, s"] = first
    assert first is not None, "/readyz of intake stays 200"
    assert first < SAYS_SO_SECONDS + 1  # it is looked at once a second


def dead_letters_on_one_broker(rig: Rig) -> None:
    """Partition 0 of dispatch's dead letters has its only copy on the third broker.

    The others have one copy, too: Kafka wants the same number of all.
    """
    copies = {p: [3] if p == 0 else [1 + p % 2] for p in range(PARTITIONS)}

    async def make() -> None:
        await rig.brokers.delete_topic(DEAD_LETTERS)
        await rig.brokers.make_topic(DEAD_LETTERS, copies)

    asyncio.run(make())


async def test_partition_without_a_leader(a_rig: MakeRig, begin: Begin) -> None:
    """Dead letters wait; cases go on at their pace, and nothing is said twice."""
    rig = await a_rig(Shape(brokers=3, before_services=dead_letters_on_one_broker))
    async with begin(rig, "dispatch.dlq-0 without a leader two minutes") as trial:
        trial.dead_letters_expected = 40
        async with trial.fault(), away(rig, [rig.brokers.nodes[2]]):
            began = time.monotonic()
            await unusable_actions(trial.city, trial.dead_letters_expected)
            async with Watching(rig, CASE_EVENTS) as watching:
                for _ in range(8):
                    before = watching.count
                    await asyncio.sleep(15)
                    assert watching.count > before + 300, "cases do not go on at their pace"
        waits = f"{DEAD_LETTERS}-0 not acknowledged"
        said = [s.at - began for s in rig.services.samples if s.at > began and waits in s.missing]
        trial.figures.notes |= {
            "events": watching.count,
            "repeated": watching.repeated,
            "/readyz?all says so after, s": round(min(said, default=0), 1),
        }
        assert watching.repeated == 0
        assert len(said) > 60, "/readyz?all says nothing of what waits"


async def unusable_actions(city: City, count: int) -> None:
    """Actions that nobody can read, whose dead letters go to partition 0."""
    keys = (str(uuid4()).encode() for _ in range(100_000))
    chosen = [key for key in keys if partitions_of([key], PARTITIONS)[0] == 0][:count]
    headers = [("ce_type", b"lastmetre.action.requested.v1")]
    for key in chosen:
        await city.produce("field.actions", key, b"not JSON", headers)
