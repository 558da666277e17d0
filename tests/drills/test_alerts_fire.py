"""Alerts fire, call and resolve: real services, Prometheus and Alertmanager, the deployed rules.

Minutes each, since an alert has to hold for as long as its rule says: `make drills`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import SERVICES, channel_topic
from lastmetre.devstack import Stack
from tests.drills.drill import Drill, hurried, watched
from tests.support.city import City, submitted
from tests.support.commands import attempt, lastmetre

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TOPIC: Final = channel_topic(Channel.APP)
BAD: Final = 201
"""More than half of the 200 that are looked at."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With a broker and a database of its own, which are taken away."""
    with Stack(tmp_path_factory.mktemp("drill") / "home") as running:
        yield running


@pytest.fixture
async def drill(city: City, tmp_path: Path) -> AsyncIterator[Drill]:
    async with watched(city, tmp_path) as opened:
        yield opened


async def test_dead_letters(stack: Stack, city: City, drill: Drill, tmp_path: Path) -> None:
    await drill.is_quiet("DeadLettersWait")
    await city.produce(TOPIC, b"drill", b"not JSON", submitted("app"))
    drill.begins()
    await drill.fires("DeadLettersWait", "ticket", {"intake"})
    [letter] = (await lastmetre(stack, "dlq", "list", "--service", "intake"))["dead_letters"]
    body = tmp_path / "corrected.json"
    body.write_text(json.dumps({"source_id": "drill-1", "text": "路灯不亮"}), "utf-8")
    code, said, complained = await attempt(
        stack, "dlq", "replay", "intake", str(letter["id"]), "--body", body
    )
    assert code == 0, said + complained
    drill.begins()
    await drill.resolves("DeadLettersWait", "ticket")


async def test_a_stopped_sender(stack: Stack, city: City, drill: Drill) -> None:
    await drill.is_quiet("SenderStopped")
    for _ in range(BAD):
        await city.produce(TOPIC, b"drill", b"not JSON", submitted("app", "terminal"))
    drill.begins()
    await drill.fires("SenderStopped", "page", {"intake"})
    code, said, complained = await attempt(
        stack, "dlq", "release", "intake", "/channels/app/terminal", "--yes"
    )
    assert code == 0, said + complained
    drill.begins()
    await drill.resolves("SenderStopped", "page")


async def test_records_of_a_stopped_sender(stack: Stack, city: City, tmp_path: Path) -> None:
    """What he sends after that waits for his release."""
    rules = hurried(tmp_path, "RecordsParked", **{"for": ("30m", "10s")})
    good = json.dumps({"source_id": "parked-1", "text": "路灯不亮"}).encode()
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("RecordsParked")
        await drill.is_quiet("SenderStopped")
        for _ in range(BAD):
            await city.produce(TOPIC, b"drill", b"not JSON", submitted("app", "parked"))
        await drill.fires("SenderStopped", "page", {"intake"})
        await city.produce(TOPIC, b"drill", good, submitted("app", "parked"))
        drill.begins()
        await drill.fires("RecordsParked", "ticket", {"intake"})
        code, said, complained = await attempt(
            stack, "dlq", "release", "intake", "/channels/app/parked", "--yes"
        )
        assert code == 0, said + complained
        drill.begins()
        await drill.resolves("RecordsParked", "ticket")


@pytest.mark.parametrize(
    ("program", "alert", "services"),
    [
        ("postgres", "DatabaseAway", set(SERVICES)),
        ("kafka", "BrokerAway", set(SERVICES)),
        ("metrics", "ServiceDown", {"metrics"}),
    ],
)
async def test_something_is_away(
    stack: Stack, drill: Drill, program: str, alert: str, services: set[str]
) -> None:
    await drill.is_quiet(alert)
    await asyncio.to_thread(stack.stop_process, program)
    drill.begins()
    try:
        await drill.fires(alert, "page", services)
    finally:
        await asyncio.to_thread(stack.start_process, program)
        drill.begins()
    await drill.resolves(alert, "page")
