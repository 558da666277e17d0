"""One measurement after the other: lifecycles, latency, accepting."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.effects import Books
from tests.bench.figures import Accepting, Latency, Run, Spread, Starting, Trail
from tests.bench.ground import Ground, Plot
from tests.bench.processes import Child, Meter
from tests.bench.sides import Platform, Processes
from tests.bench.starting import starting

SETTLE_SECONDS: Final = 60.0
DRIVE_SECONDS: Final = 300.0
LOOK_EVERY_SECONDS: Final = 5.0
ARRAY: Final = 500

Say = Callable[[str], None]


class Incomplete(Exception):
    """Effects are missing: no figure counts."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = list(faults)


@dataclass(frozen=True, slots=True)
class Size:
    """How much is driven through."""

    warm_up: int
    lifecycles: int
    runs: int
    latency_seconds: float
    latency_leave_out_seconds: float
    singles: int
    arrays: int


FULL: Final = Size(3_000, 20_000, 3, 20, 5, 15_000, 120)
QUICK: Final = Size(100, 300, 1, 3, 1, 300, 4)


class Bench:
    """Runs on one ground; `say` is told what is going on."""

    def __init__(self, ground: Ground, home: Path, size: Size, say: Say) -> None:
        self._ground = ground
        self._home = home
        self._size = size
        self._say = say

    @asynccontextmanager
    async def _plot(self, name: str) -> AsyncIterator[Plot]:
        plot = await self._ground.lay_out(name)
        try:
            yield plot
        finally:
            await self._ground.clear(plot)

    @asynccontextmanager
    async def _program(
        self, module: str, plot: Plot, environment: dict[str, str]
    ) -> AsyncIterator[Child]:
        child = Child(module, self._home / f"{module}.log")
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self._ground.bootstrap,
            "LASTMETRE_TOPIC_PREFIX": plot.prefix,
            **environment,
        }
        await child.start([sys.executable, "-m", f"tests.bench.{module}"], environment)
        try:
            yield child
        finally:
            await child.stop()

    @asynccontextmanager
    async def _books(self, plot: Plot) -> AsyncIterator[Books]:
        books = Books(self._ground.bootstrap, plot.prefix, plot.databases)
        await books.open()
        try:
            yield books
        finally:
            await books.close()

    async def lifecycles(self, name: str, processes: Processes) -> tuple[Run, Trail]:
        """One run: fresh topics and databases, processes started, warmed up, then measured."""
        async with self._plot(name) as plot:
            try:
                await processes.start(plot)
                async with self._books(plot) as books:
                    async with self._program("driver", plot, {}) as driver:
                        await self._drive(processes, driver, books, self._size.warm_up)
                        run = await self._measured(processes, driver, books)
                    driven = self._size.warm_up + self._size.lifecycles
                    if faults := await books.faults(driven):
                        raise Incomplete([f"{name}: {fault}" for fault in faults])
                    await processes.stop()
                    trail = await books.trail(driven)
            finally:
                await processes.stop()
        self._say(f"{name}: {run.rate:,.0f} lifecycles/s, {run.cpu_ms_total:.2f} CPU-ms each")
        return run, trail

    async def _drive(
        self, processes: Processes, driver: Child, books: Books, count: int
    ) -> tuple[dict[str, Any], float]:
        """Returns what the driver says, and when the last effect was there (monotonic)."""
        await driver.say(str(count))
        line = asyncio.create_task(driver.line(DRIVE_SECONDS))
        while not line.done():
            await asyncio.wait([line], timeout=LOOK_EVERY_SECONDS)
            processes.check()
        said: dict[str, Any] = json.loads(await line)
        return said, await books.settle(SETTLE_SECONDS)

    async def _measured(self, processes: Processes, driver: Child, books: Books) -> Run:
        meter = Meter(processes.parts | self._ground.parts)
        count = self._size.lifecycles
        said, settled = await self._drive(processes, driver, books, count)
        cpu, machine = meter.read()
        cpu["driver"] = said["cpu_seconds"]
        return Run(
            lifecycles=count,
            seconds=settled - said["started"],
            cpu_ms={part: seconds * 1000 / count for part, seconds in cpu.items()},
            machine=machine,
            processors=meter.processors,
        )

    async def latency(self, rate: float) -> Latency:
        """Lifecycles at a steady rate, each report posted by itself."""
        platform = Platform(self._ground, self._home)
        left_out = int(self._size.latency_leave_out_seconds * rate)
        count = int(self._size.latency_seconds * rate) + left_out
        async with self._plot("latency") as plot:
            try:
                await platform.start(plot)
                async with self._books(plot) as books:
                    async with self._program("driver", plot, {}) as driver:
                        await self._drive(platform, driver, books, self._size.warm_up)
                    meter = Meter(platform.parts | self._ground.parts)
                    async with self._program("pacing", plot, platform.environment) as pacing:
                        await pacing.say(f"{count} {rate} {left_out}")
                        said = json.loads(await pacing.line(DRIVE_SECONDS))
                        driver_cpu = said.pop("cpu_seconds")
                    await books.settle(SETTLE_SECONDS)
                    cpu, machine = meter.read()
                    if faults := await books.faults(self._size.warm_up + count):
                        raise Incomplete([f"latency: {fault}" for fault in faults])
            finally:
                await platform.stop()
        if not said["reports"]:
            raise Incomplete(["latency: no lead has had a message"])
        cpu["driver"] = driver_cpu
        latency = Latency(
            rate=rate,
            cpu_ms={part: seconds * 1000 / count for part, seconds in cpu.items()},
            others=max(machine - sum(cpu.values()) / meter.available, 0.0),
            **said,
        )
        self._say(f"latency at {rate:,.0f}/s: p95 {latency.p95:.0f} ms")
        return latency

    async def starting(self) -> Starting:
        """Dispatch's catching up, with what the lifecycles of one run leave."""
        platform = Platform(self._ground, self._home)
        async with self._plot("starting") as plot:
            try:
                await platform.start(plot)
                async with (
                    self._books(plot) as books,
                    self._program("driver", plot, {}) as driver,
                ):
                    await self._drive(platform, driver, books, self._size.lifecycles)
            finally:
                await platform.stop()
            found = await starting(self._ground.bootstrap, plot)
        self._say(f"nothing to catch up: {found.nothing_ms.median:.0f} ms")
        return found

    async def accepting(self) -> list[Accepting]:
        """Intake alone: single reports, then arrays, each as often as there are runs."""
        platform = Platform(self._ground, self._home, ("intake",))
        kinds = (
            ("single POSTs", self._size.singles, 1, 64),
            (f"arrays of {ARRAY}", self._size.arrays, ARRAY, 8),
        )
        async with self._plot("accepting") as plot:
            try:
                await platform.start(plot)
                async with self._program("accepting", plot, platform.environment) as client:
                    return [await self._accepting(platform, client, *kind) for kind in kinds]
            finally:
                await platform.stop()

    async def _accepting(
        self, platform: Platform, client: Child, what: str, requests: int, each: int, at_once: int
    ) -> Accepting:
        runs: list[tuple[float, dict[str, float]]] = []
        statuses: Counter[str] = Counter()
        for number in range(self._size.runs + 1):
            await client.say(f"{requests} {each} {at_once}")
            await client.line(DRIVE_SECONDS)
            meter = Meter(platform.parts | self._ground.parts)
            await client.say("begin")
            said = json.loads(await client.line(DRIVE_SECONDS))
            cpu, _ = meter.read()
            cpu["driver"] = said["cpu_seconds"]
            statuses.update(said["statuses"])
            reports = requests * each
            if number:  # the first one warms up
                in_ms = {part: seconds * 1000 / reports for part, seconds in cpu.items()}
                runs.append((reports / said["seconds"], in_ms))
        runs.sort(key=lambda run: run[0])
        rates = Spread.of([rate for rate, _ in runs])
        self._say(f"accepting {what}: {rates.median:,.0f} reports/s")
        middle = runs[len(runs) // 2][1]
        return Accepting(what, each, at_once, rates, middle, dict(statuses))
