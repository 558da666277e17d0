"""An old build beside this one, on the same databases and topics, under load, in both orders."""

import asyncio
import os
import subprocess
from pathlib import Path
from typing import Final

import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack.home import CHECKOUT
from tests.faults.conftest import Begin, MakeRig
from tests.faults.rig.rig import Rig, Shape

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.kind(name="builds"),
    pytest.mark.timeout(420),
]  # fmt: skip

OLD: Final = "4a2e66a"
"""Before the core's own loops and the tables for acknowledged offsets."""
TOGETHER_SECONDS = 15.0


@pytest.fixture(scope="module")
def old_build(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The search path of the old build's packages."""
    folder = tmp_path_factory.mktemp("old")
    file = folder / "old.tar"
    packed = subprocess.run(
        ["git", "-C", str(CHECKOUT), "archive", "-o", str(file), OLD, "libs", "services", "deploy"],
        capture_output=True, check=False,
    )  # fmt: skip
    if packed.returncode:
        pytest.skip(f"the history up to {OLD} is not here: {packed.stderr.decode().strip()}")
    subprocess.run(["tar", "-xf", str(file), "-C", str(folder)], check=True)
    return search_path(folder)


def search_path(folder: Path) -> str:
    """Every package of a checkout, before those that are installed."""
    return os.pathsep.join(map(str, sorted([*folder.glob("libs/*"), *folder.glob("services/*")])))


async def add(rig: Rig, process: int, **environment: str) -> None:
    """One more process of each service."""
    for service in SERVICES:
        rig.services.add(service, process, **environment)
    await asyncio.to_thread(rig.services.wait)


async def end(rig: Rig, process: int) -> None:
    """One process less of each service."""
    ends = [asyncio.to_thread(rig.services.end, service, process) for service in SERVICES]
    await asyncio.gather(*ends)


async def test_new_build_comes_beside_the_old_one(
    a_rig: MakeRig, begin: Begin, old_build: str
) -> None:
    rig = await a_rig(Shape(extra={"PYTHONPATH": old_build}))
    async with begin(rig, "this build beside an old one") as trial:
        trial.may_reset = True
        async with trial.fault():
            await add(rig, 1, PYTHONPATH="")
            await asyncio.sleep(TOGETHER_SECONDS)
            await end(rig, 0)
            await add(rig, 0, PYTHONPATH="")
            await end(rig, 1)


async def test_old_build_comes_beside_the_new_one(
    a_rig: MakeRig, begin: Begin, old_build: str
) -> None:
    rig = await a_rig(Shape())
    async with begin(rig, "an old build beside this one") as trial:
        trial.may_reset = True
        async with trial.fault():
            await add(rig, 1, PYTHONPATH=old_build)
            await asyncio.sleep(TOGETHER_SECONDS)
            await end(rig, 1)
