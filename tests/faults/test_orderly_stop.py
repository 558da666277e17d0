"""SIGTERM under load: what writes finishes, the outbox is empty, the exit code is 0."""

import asyncio

import asyncpg
import pytest

from lastmetre.common.contracts.topics import SERVICES
from tests.faults.conftest import Begin
from tests.faults.rig.rig import Rig

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="stop"),
    pytest.mark.timeout(1200),
]  # fmt: skip

TIMES = 20


async def left(rig: Rig, service: str) -> int:
    """Rows in a service's outbox."""
    connection = await asyncpg.connect(rig.audit_database(service))
    try:
        return int(await connection.fetchval("SELECT count(*) FROM outbox"))
    finally:
        await connection.close()


async def test_all_stop_in_order(rig: Rig, begin: Begin) -> None:
    """All four at once, twenty times in a row."""
    async with begin(rig, f"{TIMES} orderly stops of all four") as trial, trial.fault():
        for number in range(TIMES):
            # They keep their places, so that reports go on coming to addresses that are closed.
            ends = [asyncio.to_thread(rig.services[service].end) for service in SERVICES]
            codes = dict(zip(SERVICES, await asyncio.gather(*ends), strict=True))
            waiting = {service: await left(rig, service) for service in SERVICES}
            print(f"{number + 1}: {codes} {waiting}")
            assert codes == dict.fromkeys(SERVICES, 0)
            assert waiting == dict.fromkeys(SERVICES, 0)
            for service in SERVICES:
                rig.services[service].start()
            await asyncio.to_thread(rig.services.wait)
            await asyncio.sleep(1)
