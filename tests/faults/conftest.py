"""Rigs for the trials of faults: one a module, or one of its own for a trial that leaves scars."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tests.faults.rig.rig import Rig, Shape
from tests.faults.rig.trial import Trial, trial

MakeRig = Callable[[Shape], Awaitable[Rig]]
Begin = Callable[..., AbstractAsyncContextManager[Trial]]


@pytest.fixture(scope="module")
def shape() -> Shape:
    """What the trials of a module need; a module says what else."""
    return Shape()


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, shape: Shape) -> Iterator[Rig]:
    """Shared by the trials of a module that leave it as they found it."""
    with Rig(tmp_path_factory.mktemp("rig") / "home", shape) as running:
        yield running


@pytest.fixture
def a_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeRig]:
    """Makes a rig for one trial."""
    made: list[Rig] = []

    async def make(shape: Shape) -> Rig:
        running = Rig(tmp_path_factory.mktemp("rig") / "home", shape)
        made.append(await asyncio.to_thread(running.__enter__))
        return running

    yield make
    for each in made:
        each.__exit__(None, None, None)


@pytest.fixture
def begin(tmp_path: Path) -> Begin:
    """Begins a trial: `async with begin(rig, "what fails") as trial:`."""

    def begun(rig: Rig, fault: str, **options: int) -> AbstractAsyncContextManager[Trial]:
        return trial(rig, fault, tmp_path / "receipts", **options)

    return begun
