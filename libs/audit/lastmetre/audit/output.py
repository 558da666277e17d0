"""How a balance is shown to people and to programs."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from lastmetre.audit.balance import Balance, Line
from lastmetre.audit.run import Audited, ProgressCallback
from lastmetre.cli.console import progress_bar

SHOWN_DIFFERENCES: Final = 20


def document(audited: Audited, in_flight: Counter[str], *, live: bool) -> dict[str, Any]:
    """The whole balance as JSON, every difference with its id. `since`: the moment of the
    checkpoint from which it was counted, null where everything was."""
    balance, since = audited.balance, audited.since
    return {
        "balanced": balance.balanced and not in_flight,
        "live": live,
        "since": since.taken_at.isoformat() if since else None,
        "everything_because": audited.everything_because,
        "in_flight": dict(in_flight),
        "lines": [line.document() for line in balance],
    }


def print_balance(console: Console, balance: Balance) -> None:
    """The balance as a table, then what does not agree."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column("line")
    table.add_column("expected", justify="right")
    table.add_column("made up of", overflow="fold")
    for line in balance:
        mark = Text("✓", "green") if line.balanced else Text("✗", "bold red")
        table.add_row(mark, line.title, f"{line.expected.total():,}", Text(_terms(line.actual)))
    console.print(table)
    wrong = [line for line in balance if not line.balanced]
    for line in wrong:
        _print_differences(console, line)
    if wrong:
        console.print(f"\n{len(wrong)} lines of the books do not balance.", style="bold red")
    else:
        console.print("The books balance.", style="bold green")


def _terms(side: Counter[str]) -> str:
    return " + ".join(f"{count:,} {term}" for term, count in side.items() if count) or "0"


def _print_differences(console: Console, line: Line) -> None:
    console.print(f"\n{line.title}", style="bold red")
    if line.expected.total() != line.actual.total():
        console.print(f"  {_terms(line.expected)} ≠ {_terms(line.actual)}", markup=False)
    for difference in line.differences[:SHOWN_DIFFERENCES]:
        console.print(f"  {difference.id} {difference.what}", markup=False, soft_wrap=True)
    if len(line.differences) > SHOWN_DIFFERENCES:
        console.print(f"  … {len(line.differences):,} in all; --json names every one")


@contextmanager
def progress() -> Iterator[ProgressCallback]:
    """Shows how far the counting has come."""
    with progress_bar("counting", total=100) as bar:

        def on_progress(what: str, done: float) -> None:
            bar.title(f"counting {what}")
            bar.at(int(100 * done), 100)

        yield on_progress


class Waiting:
    """Says what the audit waits for: on one line of a terminal, elsewhere on a new line each."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("waiting until nothing is in flight")
        self._said = ""

    def __enter__(self) -> "Waiting":
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, pending: Counter[str]) -> None:
        """What is in flight now."""
        names = ", ".join(pending) or "records that have just come"
        what = ", ".join(f"{who} ({count:,})" for who, count in pending.items()) or names
        self._bar.update(self._task, description=f"waiting: {what}")
        if not self._console.is_terminal and names != self._said:
            self._said = names
            self._console.print(f"waiting: {what}", markup=False, soft_wrap=True)
