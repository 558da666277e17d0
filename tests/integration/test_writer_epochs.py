"""A database of dispatch's went back: a writer epoch begins, and what older processes still had
under way counts nowhere, whenever it arrives."""

from pathlib import Path

import pytest

from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka.codec import kafka_headers
from lastmetre.common.kafka.writer_epochs import epoch_began
from lastmetre.devstack import Stack
from tests.support.city import MetricsAlone
from tests.support.city.scenarios import World
from tests.support.databases import fresh_database

pytestmark = pytest.mark.slow

READ = "SELECT sum(next_offset) FROM position WHERE topic = 'case.events'"


@pytest.fixture
def database(stack: Stack) -> str:
    return fresh_database(stack, "metrics")


async def test_neither_the_figures_nor_their_rebuild_know_a_past_that_was_forgotten(
    stack: Stack, database: str, tmp_path: Path
) -> None:
    forgotten, *others = World(seed=9, size=30).scenarios
    ledger = [event for each in others for event in each.events]
    alone = MetricsAlone(stack.endpoints.bootstrap_servers, database, tmp_path)
    async with alone.running() as metrics:
        await metrics.start()
        await metrics.tell(*ledger)
        for partition in range(PARTITIONS):
            key, headers, body = epoch_began(f"{CASE_EVENTS}-{partition}", 1)
            await metrics.produce(CASE_EVENTS, key, body, kafka_headers(headers), partition)
        await metrics.tell(*forgotten.events)
        await metrics.until(READ, len(ledger) + PARTITIONS + len(forgotten.events))
        known = await metrics.fetch("SELECT case_id, seq FROM fact")
        assert {row["case_id"]: row["seq"] for row in known} == {
            each.case_id: len(each.events) for each in others
        }
        code, document = await metrics.rebuild("--verify")
        assert (code, document["differing_cases"]) == (0, [])
