"""A hundred kills over services, broker and database while twenty thousand reports come in."""

import asyncio
import os
import random

import pytest

from lastmetre.common.contracts.topics import SERVICES
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig.rig import Rig, Shape

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="kills"),
    pytest.mark.timeout(1800),
]  # fmt: skip

REPORTS = 20_000
KILLS = 100
POSTS_A_SECOND = 100
SEED = "LASTMETRE_CRASH_SEED"
VICTIMS = (*SERVICES, *SERVICES, "kafka", "postgres")


async def kill(rig: Rig, victim: str) -> None:
    """kill -9; broker and database are started again at once, as services are."""
    if victim == "kafka":
        await asyncio.to_thread(rig.brokers.nodes[0].kill)
        rig.brokers.nodes[0].start()
        await asyncio.to_thread(rig.brokers.wait)
    elif victim == "postgres":
        server = rig.postgres["intake"].primary
        await asyncio.to_thread(server.kill)
        await asyncio.to_thread(server.start)
    else:
        rig.services[victim].kill()


async def test_hundred_kills(a_rig: MakeRig, begin: Begin) -> None:
    seed = int(os.environ.get(SEED) or random.randrange(10**6))
    print(f"{SEED}={seed}")
    chance = random.Random(seed)
    points = sorted(chance.sample(range(500, REPORTS - 500), KILLS))
    rig = await a_rig(Shape())
    fault = f"{KILLS} kills over {REPORTS:,} reports (seed {seed})"
    async with begin(rig, fault, posts_a_second=POSTS_A_SECOND) as trial, trial.fault():
        for point in points:
            await trial.load.until(point, 300)
            await kill(rig, chance.choice(VICTIMS))
        await trial.load.until(REPORTS, 300)
