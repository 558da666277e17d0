"""What an open board is told, by whichever process, and what becomes of it at a stop."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.city import MetricsAlone
from tests.support.city.scenarios import World, network
from tests.support.databases import fresh_database
from tests.support.event_stream import events_of

pytestmark = pytest.mark.slow

EVENTS = "/board/events?period=all&lang=en"
VERSION = re.compile(r'data-version="(\w+)"')


@pytest.fixture
def database(stack: Stack) -> str:
    return fresh_database(stack, "metrics")


@pytest.fixture
async def metrics(stack: Stack, database: str, tmp_path: Path) -> AsyncIterator[MetricsAlone]:
    alone = MetricsAlone(stack.endpoints.bootstrap_servers, database, tmp_path)
    async with alone.running() as made:
        yield made


async def told(client: httpx.AsyncClient) -> AsyncGenerator[tuple[str, str], None]:
    """The events of one stream."""
    async with client.stream("GET", EVENTS) as stream:
        async for event in events_of(stream):
            yield event


async def told_again(client: httpx.AsyncClient) -> AsyncGenerator[tuple[str, str], None]:
    """The events of as many streams as it takes, as a browser asks: one ends while partitions
    change hands, since nobody knows then whether the board is as of now."""
    while True:
        async for event in told(client):
            yield event


async def shown(client: httpx.AsyncClient) -> str:
    """The version of the board as it is asked for now."""
    page = await client.get("/board/live?period=all&lang=en")
    found = VERSION.search(page.raise_for_status().text)
    assert found is not None
    return found[1]


async def test_an_open_board_is_told_of_what_any_process_commits(metrics: MetricsAlone) -> None:
    world = World(seed=8, size=60)
    await metrics.start()
    await metrics.start()
    async with (
        metrics.client(Role.SUPERVISOR) as client,
        aclosing(told_again(client)) as events,
    ):
        assert await anext(events) == ("version", await shown(client))
        name, as_of = await anext(events)
        assert (name, bool(re.fullmatch(r"\d\d:\d\d:\d\d", as_of))) == ("as-of", True)
        assert await anext(events) == ("beat", "")
        # The two share the partitions, so what is committed is committed by both.
        ledger = world.ledger()
        await metrics.tell(*network(), *ledger)
        await metrics.until("SELECT sum(seq) FROM fact", len(ledger))
        await metrics.until("SELECT count(*) FROM area", 4)
        async for name, version in events:
            if name == "version" and version == await shown(client):
                break


async def test_an_open_board_does_not_lengthen_an_orderly_stop(metrics: MetricsAlone) -> None:
    """The stream comes to its end: a stop that had to wait for it would cut it off."""
    process = await metrics.start()
    async with metrics.client(Role.SUPERVISOR) as client, aclosing(told(client)) as events:
        async for name, _ in events:
            if name == "beat":
                break
        process.process.terminate()
        assert {name async for name, _ in events} <= {"version", "as-of", "beat"}
    assert await process.process.wait() == 0
