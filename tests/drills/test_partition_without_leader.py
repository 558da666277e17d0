"""One partition without a leader, and what then fills the outbox: who is called, and until when."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.drills.drill import watched
from tests.faults.rig.rig import Rig, Shape
from tests.faults.test_back_pressure import empty, fill
from tests.faults.test_brokers import away, dead_letters_on_one_broker, unusable_actions
from tests.support.city import City

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """Three brokers; the third alone has partition 0 of dispatch's dead letters."""
    shape = Shape(brokers=3, before_services=dead_letters_on_one_broker)
    with Rig(tmp_path / "home", shape) as running:
        yield running


async def test_a_partition_without_a_leader_and_a_full_outbox(rig: Rig, tmp_path: Path) -> None:
    """Cases go on meanwhile; the outbox's limit alone stops what is asked of dispatch."""
    async with (
        City(rig.endpoints.model_dump(mode="json", by_alias=True)) as city,
        watched(city, tmp_path) as drill,
    ):
        await city.import_network()
        for alert in ("RelayFailing", "OutboxWaits", "OutboxFull"):
            await drill.is_quiet(alert)
        async with away(rig, [rig.brokers.nodes[2]]):
            await unusable_actions(city, 1)
            drill.begins()
            await drill.fires("OutboxWaits", "page", {"dispatch"})
            await drill.fires("RelayFailing", "page", {"dispatch"})
            await city.new_case("without-a-leader")
            await fill(rig)
            drill.begins()
            await drill.fires("OutboxFull", "page", {"dispatch"})
            await empty(rig)
            drill.begins()
            await drill.resolves("OutboxFull", "page")
        drill.begins()
        await drill.resolves("OutboxWaits", "page")
        await drill.resolves("RelayFailing", "page")
