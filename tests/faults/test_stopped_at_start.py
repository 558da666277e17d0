"""SIGTERM at any moment of the start is an orderly end."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Final

import httpx
import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from lastmetre.devstack.programs import DRAIN_SECONDS
from tests.support.city import City
from tests.support.databases import fresh_database

pytestmark = [
    pytest.mark.fault, pytest.mark.slow, pytest.mark.trial, pytest.mark.choice,
    pytest.mark.kind(name="start"),
]  # fmt: skip

SEED: Final = 20261130
STARTED: Final = "lastmetre.common.service.starting"
BEFORE_ANYTHING: Final = "told to stop before anything began"


class Process:
    """A service's process, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    async def until(self, such: Callable[[str], bool]) -> None:
        """Read what it says up to such a line."""
        assert self._process.stderr is not None
        async for raw in self._process.stderr:
            self.lines.append(raw.decode())
            if such(self.lines[-1]):
                return
        pytest.fail("it ended before that:\n" + "".join(self.lines[-30:]))

    async def end(self) -> int:
        """Tell it to stop; its exit code. One that dawdles fails the test."""
        self._process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(DRAIN_SECONDS):
            _, said = await self._process.communicate()
        self.lines += said.decode().splitlines(keepends=True)
        assert self._process.returncode is not None
        return self._process.returncode

    def said(self) -> str:
        return "".join(line for line in self.lines if not line.startswith("import time:"))

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


@asynccontextmanager
async def running(
    stack: Stack, service: str, extra: Mapping[str, str], *flags: str
) -> AsyncIterator[Process]:
    """The service as the stack runs it, on a port of its own."""
    file = stack.home.run / "environment" / f"{service}-0.json"
    told = {**os.environ, **json.loads(file.read_text("utf-8")), **extra}
    started = await asyncio.create_subprocess_exec(
        sys.executable, *flags, "-m", f"lastmetre.{service}",
        env={name: value for name, value in told.items() if value is not None},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    process = Process(started)
    try:
        yield process
    finally:
        process.kill()
        await started.wait()


@pytest.fixture
async def own(stack: Stack, service: str) -> dict[str, str]:
    """A database of its own, so that the stack's services notice nothing, and free ports."""
    database = await asyncio.to_thread(fresh_database, stack, service)
    name = service.upper()
    return {
        f"{name}_DATABASE_URL": database,
        f"{name}_HTTP_PORT": str(free_port()),
        f"{name}_ADMIN_PORT": str(free_port()),
        "LASTMETRE_TOPIC_PREFIX": "nobody.",
    }


@pytest.mark.parametrize("service", SERVICES)
async def test_while_it_is_imported(stack: Stack, service: str, own: dict[str, str]) -> None:
    random = Random(f"{SEED} {service}")
    for _ in range(3):
        left = random.randrange(1, 700)
        async with running(stack, service, own, "-X", "importtime") as process:
            await process.until(lambda line: line.rstrip().endswith(STARTED))
            for _ in range(left):
                await process.until(lambda _: True)
            assert await process.end() == 0, f"{left} imports after: {process.said()}"
            assert BEFORE_ANYTHING in process.said()


@pytest.mark.parametrize("service", SERVICES)
async def test_without_a_database(stack: Stack, service: str, own: dict[str, str]) -> None:
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    extra = own | {f"{service.upper()}_DATABASE_URL": nowhere}
    async with running(stack, service, extra) as process:
        await process.until(lambda line: "database cannot be migrated yet" in line)
        assert await process.end() == 0, process.said()


@pytest.mark.parametrize("service", SERVICES)
async def test_without_a_broker(stack: Stack, service: str, own: dict[str, str]) -> None:
    extra = own | {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}"}
    async with running(stack, service, extra) as process:
        await process.until(lambda line: "database is migrated" in line)
        await process.until(lambda line: "catching up waits" in line or "relay begins" in line)
        code = await process.end()
        # A relay that never reached a broker cannot know that nothing is left: it says so.
        left = [line for line in process.lines if "the drain took too long" in line]
        assert code == (1 if left else 0), process.said()
        assert all(json.loads(line)["still"] == ["relay"] for line in left)


@pytest.mark.parametrize("service", SERVICES)
async def test_just_after_it_says_that_it_is_ready(
    stack: Stack, city: City, service: str, own: dict[str, str]
) -> None:
    # The stack's own topics, which exist; a group's position is in the database, which is new.
    del own["LASTMETRE_TOPIC_PREFIX"]
    url = f"http://127.0.0.1:{own[f'{service.upper()}_ADMIN_PORT']}/readyz"
    async with running(stack, service, own) as process, httpx.AsyncClient() as http:
        await process.until(lambda line: "database is migrated" in line)

        async def ready() -> bool:
            try:
                return (await http.get(url)).is_success
            except httpx.TransportError:
                return False

        await city.until(ready, f"{service} that is ready", 60)
        assert await process.end() == 0, process.said()


@pytest.mark.parametrize("service", ["metrics"])
async def test_right_after_the_kernel_has_begun_it(
    stack: Stack, service: str, own: dict[str, str]
) -> None:
    """Until Python runs our first line the signal is the kernel's: nothing has begun, either."""
    async with running(stack, service, own) as process:
        assert await process.end() in (0, -signal.SIGTERM), process.said()
