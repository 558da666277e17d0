"""`make bench`: what a lifecycle costs, next to the floor.

    python -m tests.bench [--quick] [--json] [--only PART ...]

Exit code 0 if every bar is reached, 1 if one is not or effects are missing. A quick run only shows
that everything works: it is far too short for figures, so the bars are not judged.
"""

import asyncio
import json
import shutil
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import structlog
import typer
from rich.console import Console

from lastmetre.cli.endpoints import default_home
from lastmetre.devstack import StackError
from tests.bench import report
from tests.bench.driver import IN_FLIGHT
from tests.bench.effects import compare
from tests.bench.figures import Figures, Run, Side, Trail
from tests.bench.ground import Ground, machine, pace
from tests.bench.processes import Failed
from tests.bench.runs import FULL, QUICK, Bench, Incomplete, Size
from tests.bench.sides import SETTINGS, Floor, Platform, Processes


class Part(StrEnum):
    """What can be measured by itself."""

    LIFECYCLES = "lifecycles"
    LATENCY = "latency"
    ACCEPTING = "accepting"
    STARTING = "starting"


async def measure(
    home: Path, size: Size, parts: list[Part], rate: float | None, console: Console
) -> Figures:
    """Run everything that was asked for, on a ground of its own below `home`."""
    began = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.1f} s  {line}")

    figures = Figures(machine(), {})
    ground = Ground(home)
    await asyncio.to_thread(ground.stack.start)
    say("broker and database are up")
    try:
        figures.settings = {
            **await ground.settings(),
            "services": SETTINGS,
            "size": size,
            "cases under way at once": IN_FLIGHT,
        }
        bench = Bench(ground, home, size, say)
        await _all_parts(bench, ground, home, figures, size, parts, rate)
    except Incomplete as error:
        figures.faults += error.faults
    except (Failed, StackError, TimeoutError) as error:
        figures.faults.append(f"{type(error).__name__}: {error}")
    finally:
        await asyncio.to_thread(ground.stack.stop)
    return figures


async def _all_parts(
    bench: Bench,
    ground: Ground,
    home: Path,
    figures: Figures,
    size: Size,
    parts: list[Part],
    rate: float | None,
) -> None:
    if Part.LIFECYCLES in parts:
        sides: dict[str, Processes] = {
            "floor": Floor(ground, home),
            "platform": Platform(ground, home),
        }
        found: dict[str, list[tuple[Run, Trail]]] = {name: [] for name in sides}
        for _ in range(size.runs):
            for name, processes in sides.items():
                figures.paces.append(pace())
                found[name].append(await bench.lifecycles(name, processes))
        figures.floor, figures.platform = (
            Side([run for run, _ in runs], runs[-1][1]) for runs in found.values()
        )
        figures.differences = compare(figures.floor.trail, figures.platform.trail)
        rate = rate or figures.platform.rate.median / 2
    if Part.LATENCY in parts:
        figures.paces.append(pace())
        figures.latency = await bench.latency(rate or 500.0)
    if Part.ACCEPTING in parts:
        figures.paces.append(pace())
        figures.accepting = await bench.accepting()
    if Part.STARTING in parts:
        figures.paces.append(pace())
        figures.starting = await bench.starting()
    figures.faults += figures.wrong_answers()


def _console() -> Console:
    """As wide as the tables where nobody looks at a terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def main(
    quick: Annotated[bool, typer.Option(help="A few hundred of each, no verdict.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Figures as JSON on stdout.")] = False,
    only: Annotated[list[Part] | None, typer.Option(help="Leave out the rest.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Reports a second for the latency, instead of half.")
    ] = None,
) -> None:
    """What a lifecycle costs, next to the floor."""
    home = default_home() / "bench"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    progress = Console(stderr=True)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    size = QUICK if quick else FULL
    figures = asyncio.run(measure(home, size, only or list(Part), rate, progress))
    if as_json:
        print(json.dumps(report.document(figures), ensure_ascii=False, default=str))
    else:
        report.show(figures, _console(), judged=not quick)
    sound = not figures.faults and not figures.differences
    if sound:
        shutil.rmtree(home, ignore_errors=True)
    else:
        progress.print(f"Logs are in {home}")
    reached = quick or all(bar.reached for bar in figures.bars())
    sys.exit(0 if sound and reached else 1)


if __name__ == "__main__":
    typer.run(main)
