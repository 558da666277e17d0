"""What every command says and how it ends: one document on stdout, everything else on stderr."""

import json
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

_CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""Of terminals (C0, ESC, C1), and what turns the direction of writing."""

STDERR = Console(stderr=True, highlight=False)
STDOUT = Console(highlight=False)


class Trouble(Exception):
    """Why a command cannot go on. `way_out` tells a person what to do, `details` show more."""

    exit_code = 1

    def __init__(self, problem: str, way_out: str = "", details: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.way_out = way_out
        self.details = details

    def say(self) -> None:
        """On stderr."""
        print_trouble("\n".join(filter(None, (self.problem, self.details))), self.way_out)


class UsedWrongly(Trouble):
    """The command was given something that it cannot work with."""

    exit_code = 2


def print_trouble(problem: str, way_out: str = "") -> None:
    """Say what is wrong, and the way out, on stderr."""
    STDERR.print("[bold red]Not done:[/] ", end="")
    STDERR.print(as_it_is(problem), soft_wrap=True)
    if way_out:
        STDERR.print(as_it_is(f"Way out: {way_out}"), soft_wrap=True)


def as_it_is(text: object) -> Text:
    """What somebody else wrote: no markup of ours, and nothing that would control a terminal."""
    return Text(_CONTROLS.sub("\N{REPLACEMENT CHARACTER}", str(text)))


def say(text: str) -> None:
    """A line for people, on stderr."""
    STDERR.print(as_it_is(text), soft_wrap=True)


def warn(text: str) -> None:
    """Something that a person should look at, on stderr."""
    STDERR.print("[yellow]Mind:[/] ", end="")
    STDERR.print(as_it_is(text), soft_wrap=True)


def print_document(document: Any) -> None:
    """The one JSON document of `--json`."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2, default=str) + "\n")


def end_in_order_on_signals() -> None:
    """Let SIGTERM end the command exactly as Ctrl-C does, by KeyboardInterrupt.

    Ctrl-C's own signal is set too: a shell's background job would be deaf to it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Not the same handler: asyncio ends its loop in order for SIGINT alone.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


class Bar:
    """One line of progress. On something that is not a terminal it says how it ended."""

    def __init__(self, progress: Progress, title: str, total: int | None) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._progress.advance(self._task, count)

    def at(self, done: int, total: int | None = None) -> None:
        """So many are done, of so many."""
        self._progress.update(self._task, completed=done, total=total)

    def title(self, text: str) -> None:
        """What is being done now."""
        self._progress.update(self._task, description=text)


@contextmanager
def progress_bar(title: str, total: int | None) -> Iterator[Bar]:
    """A progress bar on stderr for what takes longer than a second."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=STDERR,
    ) as progress:
        yield Bar(progress, title, total)


@contextmanager
def working(title: str) -> Iterator[Bar]:
    """What is being done now, for as long as it takes, where nobody knows how much there is."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with Progress(*columns, console=STDERR, transient=True) as progress:
        yield Bar(progress, title, None)
