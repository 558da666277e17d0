"""Processes that are away, that serve nobody, that do not get beyond their start: who is called."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import asyncpg
import httpx
import pytest

from lastmetre.common.outbox.shard_locks import ShardLeases
from lastmetre.common.postgres.locks import CATCH_UP_LOCK
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from lastmetre.notify.adapters.postgres.message_queue import SENDING_LOCKS
from lastmetre.notify.domain.messages import SHARDS
from tests.drills.drill import hurried, watched
from tests.support.city import City, inside
from tests.support.holding import holding

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GOOD_AT_ONCE: Final = 50
PEOPLE: Final = 60
"""More than there are connections."""
UNREADABLE: Final = """
    SET LOCAL idle_in_transaction_session_timeout = 0;
    LOCK TABLE "case" IN ACCESS EXCLUSIVE MODE
"""
KEPT: Final = f"""
    SET LOCAL idle_in_transaction_session_timeout = 0;
    SELECT pg_advisory_lock({CATCH_UP_LOCK})
"""
"""For longer than anybody of ours may."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Whose processes are stopped and started."""
    with Stack(tmp_path_factory.mktemp("drill") / "home") as running:
        yield running


async def test_a_process_that_does_not_answer(stack: Stack, city: City, tmp_path: Path) -> None:
    """The only one of metrics: nobody tells the city's figures either."""
    rules = hurried(tmp_path, "ProcessDown", **{"for": ("5m", "10s")})
    rules = hurried(tmp_path, "FiguresUnread", rules, **{"for": ("15m", "10s")})
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("ProcessDown")
        await drill.is_quiet("FiguresUnread")
        await asyncio.to_thread(stack.stop_process, "metrics")
        drill.begins()
        try:
            await drill.fires("ProcessDown", "ticket", set())
            await drill.fires("FiguresUnread", "ticket", set())
        finally:
            await asyncio.to_thread(stack.start_process, "metrics")
            drill.begins()
        await drill.resolves("ProcessDown", "ticket")
        await drill.resolves("FiguresUnread", "ticket")


async def test_reports_that_are_refused_for_a_fault_of_ours(
    stack: Stack, city: City, tmp_path: Path
) -> None:
    """Kafka is away: intake serves nobody, and one report is refused. Then others are taken, until
    it is less than one of a thousand."""
    alerts = {"ReportsRefusedFast": "page", "ReportsRefusedSlowly": "ticket"}

    async def report() -> int:
        body = {"source_id": f"refused-{uuid4()}", "text": "路灯不亮", "position": inside(0)}
        return (await city.post("app", body)).status_code

    async def others() -> None:
        codes = await asyncio.gather(*(report() for _ in range(GOOD_AT_ONCE)))
        assert set(codes) == {202}

    async with watched(city, tmp_path) as drill:
        for alert in ("NotServing", *alerts):
            await drill.is_quiet(alert)
        assert await report() == 202
        await asyncio.to_thread(stack.stop_process, "kafka")
        drill.begins()
        try:
            assert await report() == 503
            for alert, severity in alerts.items():
                await drill.fires(alert, severity, set())
            await drill.fires("NotServing", "page", {"intake"})
        finally:
            await asyncio.to_thread(stack.start_process, "kafka")
            drill.begins()
        await drill.resolves("NotServing", "page")

        async def taken() -> bool:
            return await report() == 202

        await city.until(taken, "a report that is taken")
        drill.begins()
        for alert, severity in alerts.items():
            await drill.resolves(alert, severity, meanwhile=others)


async def test_a_process_that_does_not_get_beyond_its_start(
    stack: Stack, city: City, tmp_path: Path
) -> None:
    """Another session holds what dispatch has to have while it catches up."""
    rules = hurried(tmp_path, "StuckStarting", **{"for": ("10m", "10s")})
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("StuckStarting")
        await asyncio.to_thread(stack.stop_process, "dispatch")
        async with holding(city, "dispatch", KEPT):
            starts = asyncio.create_task(asyncio.to_thread(stack.start_process, "dispatch"))
            drill.begins()
            await drill.fires("StuckStarting", "page", {"dispatch"})
            drill.begins()
        await starts
        await drill.resolves("StuckStarting", "page")


async def test_shards_of_a_process_that_is_gone(city: City, tmp_path: Path) -> None:
    """Its session holds half of them, until it ends."""
    rules = hurried(tmp_path, "ShardsUnowned", **{"for": ("5m", "10s")})
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("ShardsUnowned")
        gone = await asyncpg.connect(city.endpoints["databases"]["notify"])
        try:
            leases = ShardLeases(gone, SENDING_LOCKS, range(SHARDS))
            await leases.join()

            async def holds_half() -> bool:
                await leases.balance()
                return len(leases.owned) == SHARDS // 2

            await city.until(holds_half, "half of the shards")
            drill.begins()
            await drill.fires("ShardsUnowned", "page", set())
        finally:
            await gone.close()
            drill.begins()
        await drill.resolves("ShardsUnowned", "page")


async def test_all_connections_are_in_use(city: City, tmp_path: Path) -> None:
    """A session locks the cases; more people want to see them than there are connections."""
    rules = hurried(tmp_path, "ConnectionsUsedUp", **{"for": ("10m", "10s")})
    url = city.url("dispatch", "/centre")
    operator = city.bearer(Role.OPERATOR) | {"Accept": "text/html"}
    waiting: set[asyncio.Task[None]] = set()

    async def look_at_cases() -> None:
        with contextlib.suppress(httpx.HTTPError):
            await city.http.get(url, headers=operator)

    async def people_come() -> None:
        while len(waiting) < PEOPLE:
            task = asyncio.create_task(look_at_cases())
            waiting.add(task)
            task.add_done_callback(waiting.discard)

    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("ConnectionsUsedUp")
        async with holding(city, "dispatch", UNREADABLE):
            drill.begins()
            await drill.fires("ConnectionsUsedUp", "ticket", {"dispatch"}, meanwhile=people_come)
            drill.begins()
        await drill.resolves("ConnectionsUsedUp", "ticket")
        await asyncio.gather(*waiting)
