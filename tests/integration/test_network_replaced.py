"""A network in which somebody answers for nothing any more: finding 18 of the inputs."""

import pytest

from lastmetre.devstack import Stack
from lastmetre.dispatch.adapters.postgres.cases import open_counts_of_others
from tests.integration.dispatch_ledger import dispatch_process, report
from tests.support.databases import fresh_database


@pytest.fixture
def database(stack: Stack) -> str:
    """An empty database for dispatch."""
    return fresh_database(stack, "dispatch")


async def test_open_cases_of_a_lead_who_has_no_area_any_more_are_told(database: str) -> None:
    async with dispatch_process(database) as process:
        await process.register(report(1), report(2), report(3, position=None))
        async with process.pool.acquire() as connection:
            assert await open_counts_of_others(connection, ["L1"]) == {"L0": 2}
            assert await open_counts_of_others(connection, ["L0"]) == {}
            assert await open_counts_of_others(connection, []) == {"L0": 2}
