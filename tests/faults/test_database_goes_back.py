"""A database that goes back in time: a standby is promoted that lacks seconds, a dump or a base
backup is restored. What the log holds comes back from there, under the same ids and numbers."""

import asyncio
import os

import pytest

from lastmetre.common.contracts.topics import SERVICES
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig.rig import Rig, Shape
from tests.faults.rig.trial import Trial

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.timeout(420),
]  # fmt: skip

BEHIND_SECONDS = 2.0
APART_SECONDS = float(os.environ.get("LASTMETRE_FAULT_AGE_SECONDS", "60"))
"""How much younger the others are than the copy: what happened meanwhile is to come back."""


def all_may_end(trial: Trial) -> None:
    """Who sees that its database is another one ends, and begins anew."""
    trial.may_exit |= {f"{service}-0" for service in SERVICES}


async def meanwhile(trial: Trial, seconds: float) -> None:
    """Cases go on; then note what everybody knows of them, which must not change any more."""
    await asyncio.sleep(seconds)
    await trial.note_known()


@pytest.mark.kind(name="failover")
@pytest.mark.parametrize("service", ["dispatch", "intake", "notify", "metrics"])
async def test_standby_that_is_behind_is_promoted(
    a_rig: MakeRig, begin: Begin, service: str
) -> None:
    rig = await a_rig(Shape(apart=service, standby=True))
    fault = f"{service}: a standby {BEHIND_SECONDS:.0f} s behind is promoted"
    async with begin(rig, fault) as trial:
        trial.may_exit.add(f"{service}-0")
        async with trial.fault():
            await rig.apart.fail_over(BEHIND_SECONDS)


@pytest.mark.kind(name="failover")
async def test_standby_of_all_is_promoted(a_rig: MakeRig, begin: Begin) -> None:
    rig = await a_rig(Shape(standby=True))
    async with begin(rig, "all: a standby 2 s behind is promoted") as trial:
        all_may_end(trial)
        async with trial.fault():
            await rig.apart.fail_over(BEHIND_SECONDS)


@pytest.mark.kind(name="restore")
@pytest.mark.parametrize(
    "service", [pytest.param("dispatch", marks=pytest.mark.choice), "intake", "notify", "metrics"]
)
async def test_dump_is_restored(a_rig: MakeRig, begin: Begin, service: str) -> None:
    rig: Rig = await a_rig(Shape())
    server, file = rig.postgres[service].primary, rig.home.data / "dumps" / service
    async with begin(rig, f"{service}'s database from a dump {APART_SECONDS:.0f} s old") as trial:
        trial.may_exit.add(f"{service}-0")
        async with trial.fault():
            await asyncio.to_thread(server.dump, service, file)
            await meanwhile(trial, APART_SECONDS)
            await asyncio.to_thread(server.restore_dump, service, file)


@pytest.mark.kind(name="restore")
async def test_base_backup_is_restored(a_rig: MakeRig, begin: Begin) -> None:
    rig = await a_rig(Shape())
    server = rig.postgres["intake"].primary
    backup = rig.home.data / "backup"
    async with begin(rig, f"all from a base backup {APART_SECONDS:.0f} s old") as trial:
        all_may_end(trial)
        async with trial.fault():
            await asyncio.to_thread(server.base_backup, backup)
            await meanwhile(trial, APART_SECONDS)
            await asyncio.to_thread(server.restart_from_base_backup, backup)
