"""`make bench-audit`: what an audit takes from a checkpoint, next to one of everything.

    python -m tests.bench.audit [--cases 200000] [--more 2000]

The services bring so many cases from report to closing; then the command is run three times: with
nothing to go on from, after more cases, and after none. Exit code 1 if the second is not at least
twenty times as quick as the first, or one does not balance.
"""

import asyncio
import json
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import typer
from rich.console import Console

from lastmetre.cli.endpoints import default_home
from tests.bench.effects import Books
from tests.bench.ground import Ground, Plot, machine, pace
from tests.bench.processes import Child, Failed
from tests.bench.sides import Platform

AT_ONCE: Final = 20_000
DRIVE_SECONDS: Final = 1800.0
SETTLE_SECONDS: Final = 600.0
WANTED: Final = 20.0


@dataclass(frozen=True)
class Audit:
    """One run of the command. `seconds` from its start to its end, Python's own included."""

    seconds: float
    since: str | None
    balanced: bool
    cases: int
    events: int


async def drive(driver: Child, books: Books, count: int) -> None:
    """Bring cases from report to closing, and wait until all has had its effect."""
    while count > 0:
        await driver.say(str(min(count, AT_ONCE)))
        await driver.line(DRIVE_SECONDS)
        await books.settle(SETTLE_SECONDS)
        count -= AT_ONCE


async def audit(home: Path) -> Audit:
    """Run `lastmetre audit` for the stack there."""
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("lastmetre")),
        "audit",
        "--json",
        env=os.environ | {"LASTMETRE_HOME": str(home)},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    if not said:
        raise Failed(f"the audit ended with {process.returncode} and counted nothing")
    document: dict[str, Any] = json.loads(said)
    lines = {line["name"]: sum(line["expected"].values()) for line in document["lines"]}
    return Audit(
        time.monotonic() - began,
        document["since"],
        document["balanced"],
        lines["case_state"],
        lines["ledger_on_topic"],
    )


async def measure(home: Path, cases: int, more: int, console: Console) -> list[Audit]:
    """Everything on a ground of its own below `home`."""
    ground = Ground(home)
    await asyncio.to_thread(ground.stack.start)
    try:
        plot = await ground.lay_out("audit")
        return await _audits(ground, plot, home, (cases, more), console)
    finally:
        await asyncio.to_thread(ground.stack.stop)


async def _audits(
    ground: Ground, plot: Plot, home: Path, sizes: tuple[int, int], console: Console
) -> list[Audit]:
    platform = Platform(ground, home)
    books = Books(ground.bootstrap, plot.prefix, plot.databases)
    driver = Child("driver", home / "driver.log")
    await platform.start(plot)
    try:
        await books.open()
        await driver.start(
            [sys.executable, "-m", "tests.bench.driver"],
            {"KAFKA_BOOTSTRAP_SERVERS": ground.bootstrap, "LASTMETRE_TOPIC_PREFIX": plot.prefix},
        )
        found: list[Audit] = []
        for count in (*sizes, 0):
            began = time.monotonic()
            await drive(driver, books, count)
            console.print(f"{count:,} cases driven in {time.monotonic() - began:.0f} s")
            found.append(await audit(home / "platform"))
            console.print(found[-1])
        return found
    finally:
        await driver.stop()
        await books.close()
        await platform.stop()


def main(
    cases: Annotated[int, typer.Option(min=1)] = 200_000,
    more: Annotated[int, typer.Option(min=1)] = 2_000,
) -> None:
    """Measure, and say how many times as quick the second audit was."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    console = Console(highlight=False)
    home = default_home() / "bench-audit"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    console.print(machine(), f"pace {pace():.1f} µs")
    try:
        first, second, third = asyncio.run(measure(home, cases, more, console))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    ratio = first.seconds / second.seconds
    console.print(
        f"everything {first.seconds:.1f} s; {more:,} new cases {second.seconds:.1f} s"
        f" ({ratio:.1f} times as quick); nothing new {third.seconds:.1f} s"
    )
    balanced = all(each.balanced for each in (first, second, third))
    if not balanced or second.since is None or ratio < WANTED:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
