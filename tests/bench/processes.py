"""Processes of the benchmark, and what CPU time a process with all its descendants has used."""

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from lastmetre.devstack.programs import guarded

STOP_SECONDS = 20.0


class Failed(Exception):
    """A process of the benchmark ended, or said something that was not expected."""


class Child:
    """A process that ends with this one. Its stderr goes to a log, its stdout is read by lines."""

    def __init__(self, name: str, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: asyncio.subprocess.Process | None = None

    async def start(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        environment_file: Path | str = "-",
    ) -> None:
        """Start it; `environment` is added to ours, and so is what the JSON file holds."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *guarded(command, environment=environment_file),
                env=os.environ | dict(environment or {}),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise Failed(f"{self.name} was not started")
        return self._process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    def check(self) -> None:
        """Raise Failed if it has ended."""
        code = self._running.returncode
        if code is not None:
            text = self.log.read_text("utf-8", "replace") if self.log.exists() else ""
            raise Failed(f"{self.name} ended ({code}):\n{text[-3000:]}")

    async def say(self, line: str) -> None:
        """Give it a line on its stdin."""
        assert self._running.stdin is not None
        self._running.stdin.write(line.encode() + b"\n")
        await self._running.stdin.drain()

    async def line(self, seconds: float) -> str:
        """Its next line. Raises Failed if it ends without one or takes longer than that."""
        assert self._running.stdout is not None
        try:
            line = await asyncio.wait_for(self._running.stdout.readline(), seconds)
        except TimeoutError:
            raise Failed(f"{self.name} said nothing for {seconds:.0f} s") from None
        if not line:
            await self._running.wait()
            self.check()
        return line.decode().strip()

    async def stop(self) -> None:
        """Ask it to end and see that it does."""
        if self._process is None:
            return
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), STOP_SECONDS)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None


def cpu_seconds(pid: int) -> float:
    """CPU time of a process and all its descendants, those that have ended and been waited for
    included, since they began."""
    total = 0.0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        # The parent last: whatever a child had used when it ended is in its parent's sums then.
        for each in [*process.children(recursive=True), process]:
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
    return total


class Meter:
    """CPU time by part, from now on."""

    def __init__(self, parts: Mapping[str, int]) -> None:
        self.processors = os.cpu_count() or 1
        self.available = 0.0
        """Processor seconds that there were until `read`."""
        self._parts = dict(parts)
        self._before = self._now()
        self._machine_before = _busy_seconds()
        self._began = time.monotonic()

    def _now(self) -> dict[str, float]:
        return {part: cpu_seconds(pid) for part, pid in self._parts.items()}

    def read(self) -> tuple[dict[str, float], float]:
        """Seconds used by each part, and by the whole machine, as a share of all its processors."""
        seconds = {part: now - self._before[part] for part, now in self._now().items()}
        self.available = (time.monotonic() - self._began) * self.processors
        return seconds, (_busy_seconds() - self._machine_before) / self.available


def _busy_seconds() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice + times.irq + times.softirq)
