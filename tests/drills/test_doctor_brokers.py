"""`lastmetre doctor` while a broker of three is away: which topics take nothing, and what to do."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lastmetre.cli.doctor.findings import Finding, Findings, Level
from lastmetre.cli.doctor.kafka import look_at_topics
from lastmetre.cli.profile import Installation, Source
from lastmetre.common.contracts.topics import CASE_EVENTS, FEEDBACK, REPORTS
from lastmetre.devstack.home import Home
from lastmetre.devstack.ports import Ports
from tests.faults.rig.brokers import Brokers
from tests.support.city import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

AWAY: Final = 2
COPIES: Final = {CASE_EVENTS: [1, AWAY, 3], REPORTS: [1, AWAY], FEEDBACK: [AWAY]}
"""By topic the brokers that have a copy of its one partition."""


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    home = Home(tmp_path_factory.mktemp("three-brokers"))
    home.make()
    three = Brokers(3, home, Ports(home.run / "ports.json"))
    try:
        three.start()
        yield three
    finally:
        three.stop()


async def test_a_broker_that_is_away_is_seen_by_topic(brokers: Brokers, tmp_path: Path) -> None:
    for name, nodes in COPIES.items():
        await brokers.make_topic(name, {0: nodes})

    async def of_copies() -> dict[str, Finding]:
        said = Findings("topics")
        told = Source({"KAFKA_BOOTSTRAP_SERVERS": brokers.bootstrap_servers}, "test", tmp_path)
        await look_at_topics(Installation((told,), tmp_path, with_home=False), said)
        return {
            each.subject: each
            for each in said.all
            if each.subject in COPIES and (each.code or "in sync").startswith(("part", "in sync"))
        }

    async def are(expected: dict[str, tuple[str, Level]]) -> bool:
        found = await of_copies()
        return {name: (each.code, each.level) for name, each in found.items()} == expected

    # Fewer copies than three are named as such, by another finding.
    well = {
        CASE_EVENTS: ("", Level.FINE),
        REPORTS: ("", Level.FINE),
        FEEDBACK: ("partition-too-few-in-sync", Level.WRONG),
    }
    await eventually(lambda: are(well), "findings of three brokers")
    node = brokers.nodes[AWAY - 1]
    node.kill()
    without = {
        CASE_EVENTS: ("partition-out-of-sync", Level.WARNING),
        REPORTS: ("partition-too-few-in-sync", Level.WRONG),
        FEEDBACK: ("partition-leaderless", Level.WRONG),
    }
    await eventually(lambda: are(without), "findings of two brokers")
    for name, each in (await of_copies()).items():
        assert "partitions 0" in each.found, name
        assert each.means, name
        assert each.way_out.startswith("start the broker"), name
    node.start()
    await asyncio.to_thread(brokers.wait)
    await eventually(lambda: are(well), "findings once it has caught up")
