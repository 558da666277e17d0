"""An outbox over its limit: consumers and actions wait, which is no reason to restart anything."""

import asyncio
import time

import pytest

from lastmetre.common.contracts.topics import dead_letter_topic
from lastmetre.common.outbox.messages import shard_of
from lastmetre.common.service.measuring import OUTBOX_LIMIT
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig.rig import Rig, Shape
from tests.faults.test_brokers import DEAD_LETTERS, away, dead_letters_on_one_broker

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="pressure"),
    pytest.mark.timeout(480),
]  # fmt: skip

MINUTES_OVER_ITS_LIMIT = 3
AT_ONCE = 1000
SURPLUS = b"surplus"


async def test_outbox_is_over_its_limit(a_rig: MakeRig, begin: Begin) -> None:
    """Its surplus waits for a partition without a leader, and is taken out before that is back."""
    rig = await a_rig(Shape(brokers=3, before_services=dead_letters_on_one_broker))
    async with begin(rig, "dispatch's outbox over its limit three minutes") as trial:
        async with trial.fault(), away(rig, [rig.brokers.nodes[2]]):
            await fill(rig)
            began = time.monotonic()
            await asyncio.sleep(60 * MINUTES_OVER_ITS_LIMIT)
            said = [s for s in rig.services.samples if s.at > began + 5 and s.name == "dispatch-0"]
            await empty(rig)
        over = sum("over its limit" in s.missing for s in said)
        trial.figures.notes["samples over the limit"] = f"{over} of {len(said)}"
    assert over >= len(said) - 2
    assert {s.live for s in said} == {200}


async def fill(rig: Rig) -> None:
    """More messages than an outbox may hold, in rows of a thousand."""
    server = rig.postgres["dispatch"].primary
    bodies = f"array_fill('x'::bytea, ARRAY[{AT_ONCE}])"
    headers = f"array_fill('{{}}'::bytea, ARRAY[{AT_ONCE}])"
    keys = f"array_fill('{SURPLUS.decode()}'::bytea, ARRAY[{AT_ONCE}])"
    topic = dead_letter_topic("dispatch")
    await server.run(
        "INSERT INTO outbox (topic, partition, shard, records, keys, headers, bodies)"
        f" SELECT '{topic}', 0, {shard_of(DEAD_LETTERS, 0)}, {AT_ONCE}, {keys}, {headers}, {bodies}"
        f" FROM generate_series(0, {OUTBOX_LIMIT // AT_ONCE})",
        database="dispatch",
    )


async def empty(rig: Rig) -> None:
    """Take the surplus out again."""
    await rig.postgres["dispatch"].primary.run(
        f"DELETE FROM outbox WHERE keys[1] = '{SURPLUS.decode()}'::bytea", database="dispatch"
    )
