"""A database that refuses: read-only, another password, closed, no permission, no room, locked."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lastmetre.common.contracts.topics import SERVICES
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig import refusals
from tests.faults.rig.refusals import Refusal
from tests.faults.rig.rig import Rig

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="refuses"),
    pytest.mark.timeout(420),
]  # fmt: skip

SECONDS = 10.0
TIMES = 5


async def lasting(rig: Rig, begin: Begin, fault: str, what: Sequence[Refusal]) -> None:
    """All of these refusals for ten seconds."""
    async with begin(rig, fault) as trial, trial.fault(), AsyncExitStack() as stack:
        for each in what:
            await stack.enter_async_context(each)
        await asyncio.sleep(SECONDS)


@pytest.mark.choice
async def test_no_fault(rig: Rig, begin: Begin) -> None:
    async with begin(rig, "no fault") as trial, trial.fault():
        await asyncio.sleep(5)


@pytest.mark.choice
async def test_all_databases_are_read_only(rig: Rig, begin: Begin) -> None:
    what = [refusals.read_only(rig, service) for service in SERVICES]
    await lasting(rig, begin, "all databases read-only 10 s", what)


@pytest.mark.parametrize("service", SERVICES)
async def test_one_database_is_read_only(rig: Rig, begin: Begin, service: str) -> None:
    fault = f"{service}'s database read-only 10 s"
    await lasting(rig, begin, fault, [refusals.read_only(rig, service)])


@pytest.mark.choice
async def test_password_is_changed_and_changed_back(rig: Rig, begin: Begin) -> None:
    what = [refusals.other_password(rig, service) for service in SERVICES]
    await lasting(rig, begin, "passwords changed 10 s", what)


@pytest.mark.parametrize("refuse", [refusals.closed, refusals.not_in_hba])
async def test_connections_are_refused(
    rig: Rig, begin: Begin, refuse: Callable[[Rig, str], Refusal]
) -> None:
    what = [refuse(rig, service) for service in SERVICES]
    await lasting(rig, begin, f"connections refused 10 s ({refuse.__name__})", what)


@pytest.mark.parametrize("table", ["outbox", "position"])
async def test_privilege_is_revoked(rig: Rig, begin: Begin, table: str) -> None:
    what = [refusals.revoked(rig, service, table) for service in SERVICES]
    await lasting(rig, begin, f"no permission for {table} 10 s", what)


async def test_connection_limit_is_reached(rig: Rig, begin: Begin) -> None:
    what = [refusals.connection_limit(rig, service) for service in SERVICES]
    await lasting(rig, begin, "one connection a role 10 s", what)


@pytest.mark.parametrize("service", SERVICES)
async def test_table_is_locked(rig: Rig, begin: Begin, service: str) -> None:
    fault, hold = f"{service}'s positions locked 30 s", refusals.locked(rig, service, "position")
    async with begin(rig, fault) as trial, trial.fault(), hold:
        await asyncio.sleep(30)


@pytest.mark.parametrize(
    ("service", "table"),
    [
        ("notify", "message_done"),
        ("dispatch", "position"),
        ("dispatch", "outbox"),
        ("intake", "report"),
        ("metrics", "fact"),
    ],
)
async def test_trigger_raises(rig: Rig, begin: Begin, service: str, table: str) -> None:
    fault = f"{service}: no row of {table} can be written 10 s, XX002"
    await lasting(rig, begin, fault, [refusals.raising(rig, service, table)])


async def test_postgresql_stops_immediately_five_times(rig: Rig, begin: Begin) -> None:
    server = rig.postgres["intake"].primary
    async with begin(rig, "PostgreSQL stop -m immediate, five times") as trial, trial.fault():
        for _ in range(TIMES):
            await asyncio.to_thread(server.stop, "immediate")
            await asyncio.to_thread(server.start)
            await asyncio.sleep(2)


async def test_disk_is_full(a_rig: MakeRig, begin: Begin, tmp_path: Path) -> None:
    with refusals.SmallVolume(tmp_path / "small") as volume:
        rig = await a_rig(volume.shape)
        async with begin(rig, "disk full 10 s") as trial, trial.fault(), volume.full():
            await asyncio.sleep(SECONDS)
