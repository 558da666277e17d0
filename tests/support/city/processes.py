"""A service as a process of its own."""

import asyncio
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from lastmetre.devstack.ports import free_port
from tests.support.admin_port import client_of
from tests.support.city.figures import figure
from tests.support.city.waiting import WAIT_SECONDS, eventually
from tests.support.logs import complaints

STOP_SECONDS = 30


@dataclass(frozen=True)
class ServiceProcess:
    """Answers at `url`, and at `admin` to what is internal."""

    process: asyncio.subprocess.Process
    url: str
    admin: str
    log: Path

    def client(self, headers: Mapping[str, str] | None = None) -> httpx.AsyncClient:
        """Asks this process, its admin port for what is internal."""
        return client_of(self.url, self.admin, headers=headers, timeout=30)

    async def until_ready(self) -> None:
        """Wait until all in it works; raises RuntimeError with its log if it ends."""
        await self._until_200("/readyz?all")

    async def until_it_answers(self) -> None:
        """Wait until it takes requests, whatever it says to them."""
        await self._until_200("/livez")

    async def until_it_is_stopping(self) -> None:
        """Wait until it says that nothing more is to be sent to it."""
        async with httpx.AsyncClient() as client:

            async def is_stopping() -> bool:
                try:
                    return (await client.get(f"{self.admin}/readyz")).status_code != 200
                except httpx.TransportError:
                    return True

            await eventually(is_stopping)

    async def _until_200(self, path: str) -> None:
        async with httpx.AsyncClient() as client:

            async def answers() -> bool:
                if self.process.returncode is not None:
                    raise RuntimeError(f"it has ended:\n{self._last_words()}")
                try:
                    return (await client.get(f"{self.admin}{path}")).status_code == 200
                except httpx.TransportError:
                    return False

            try:
                await eventually(answers, seconds=WAIT_SECONDS)
            except TimeoutError:
                raise TimeoutError(f"not 200 at {path}:\n{self._last_words()}") from None

    def _last_words(self) -> str:
        return self.log.read_text("utf-8", "replace")[-3000:]

    def complaints(self) -> list[dict[str, Any]]:
        """What it has logged as an error, or worse."""
        return complaints(self.log.read_bytes())

    async def missing(self) -> list[str]:
        """What the process itself says does not work; empty if all does."""
        async with httpx.AsyncClient() as client:
            found: list[str] = (await client.get(f"{self.admin}/readyz?all")).json()["missing"]
            return found

    async def figure(self, name: str, **labels: str) -> float:
        """The sum of a figure's samples with these labels."""
        async with httpx.AsyncClient() as client:
            return figure((await client.get(f"{self.admin}/metrics")).text, name, **labels)

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def end(self) -> int:
        """End it in its orderly way, unless it has ended; returns its exit code."""
        if self.process.returncode is None:
            self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), STOP_SECONDS)


async def start_process(
    service: str, folder: Path, environment: Mapping[str, str]
) -> ServiceProcess:
    """A process of that service, which is not waited for; it logs into `folder`."""
    port, admin_port = free_port(), free_port()
    ports = {f"{service.upper()}_HTTP_PORT": port, f"{service.upper()}_ADMIN_PORT": admin_port}
    log = folder / f"{service}-{port}.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"lastmetre.{service}",
            env={name: str(value) for name, value in ports.items()} | dict(environment),
            stderr=output,
        )
    base = "http://127.0.0.1:"
    return ServiceProcess(process, f"{base}{port}", f"{base}{admin_port}", log)
