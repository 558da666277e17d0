"""`lastmetre metrics`: the figures worked out anew from the ledger, or held against it.

The service does the work (`python -m metrics.rebuild`), run with what its processes are told.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.client import read_endpoints
from lastmetre.cli.console import STDOUT, Bar, Trouble, print_document, progress_bar, say
from lastmetre.devstack.home import Home, default_home

app = typer.Typer(name="metrics", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
DATABASE: Final = "METRICS_DATABASE_URL"
SHOWN: Final = 20
_PROGRESS: Final = re.compile(r"events (\d+)/(\d+)")


@app.callback()
def metrics() -> None:
    """The figures, and the ledger behind them.

    Examples:

        lastmetre metrics verify
        lastmetre metrics rebuild
    """


@app.command()
def rebuild(as_json: Json = False) -> None:
    """Work all facts out anew from the ledger, beside the live ones, then swap them in.

    Metrics goes on working meanwhile; nothing is sent to anybody.
    """
    document = _run("rebuilding")
    if as_json:
        print_document(document)
    else:
        _say(document, "rebuilt")


@app.command()
def verify(as_json: Json = False) -> None:
    """Compare the live facts with a fold of the ledger; exits with 1 if a case differs.

    Of an event that was a dead letter and replayed with a corrected body, that body counts.
    """
    document = _run("verifying", "--verify")
    if as_json:
        print_document(document)
    else:
        _say(document, "verified")
    differing = document["differing_cases"]
    if not differing:
        return
    if not as_json:
        for each in document["differences"][:SHOWN]:
            fields = ", ".join(each["fields"]) or _whose(each)
            STDOUT.print(f"  {each['case_id']}: {fields}", markup=False, soft_wrap=True)
        if len(differing) > SHOWN:
            STDOUT.print(f"  … {len(differing):,} in all; --json names every one")
    raise Trouble(
        f"{len(differing)} cases are not what their ledger says.",
        "`lastmetre metrics rebuild` works them out anew.",
    )


def _whose(difference: Mapping[str, Any]) -> str:
    return "not in the ledger" if difference["rebuilt_seq"] is None else "missing"


def _say(document: Mapping[str, Any], done: str) -> None:
    say(
        f"{document['cases']:,} cases {done} from {document['events']:,} events"
        f" in {document['seconds']:.1f} s"
    )
    if document["unreadable_events"] or document["events_behind_a_hole"]:
        say(
            f"{document['unreadable_events']} events cannot be read,"
            f" {document['events_behind_a_hole']} wait behind a hole"
        )


def _run(title: str, *arguments: str) -> dict[str, Any]:
    """Run the tool with a progress bar; its document. Raises Trouble with what it said."""
    command = [sys.executable, "-m", "lastmetre.metrics.rebuild", "--json", *arguments]
    said: list[str] = []
    with (
        TemporaryFile("w+") as answer,
        subprocess.Popen(
            command, env=_environment(), stdout=answer, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        with progress_bar(title, 0) as bar:
            for line in process.stderr:
                _follow(bar, said, line)
        process.wait()
        answer.seek(0)
        output = answer.read()
    if not output:
        raise Trouble("\n".join(said[-5:]) or f"the tool ended with {process.returncode}",
                      "is the stack running? `lastmetre status` shows what runs.")  # fmt: skip
    document: dict[str, Any] = json.loads(output)
    return document


def _follow(bar: Bar, said: list[str], line: str) -> None:
    if counted := _PROGRESS.fullmatch(line.strip()):
        bar.at(int(counted[1]), int(counted[2]))
    elif line.strip():
        said.append(line.strip())


def _environment() -> dict[str, str]:
    """What the stack tells its metrics, the city's time zone among it; a database that is named
    in our own environment is one elsewhere, and everything else is told there, too."""
    file = Home(default_home()).run / "environment" / "metrics-0.json"
    if not file.exists():
        if DATABASE not in os.environ:
            read_endpoints()
        return dict(os.environ)
    told = {k: v for k, v in json.loads(file.read_text("utf-8")).items() if v is not None}
    return {**told, **os.environ} if DATABASE in os.environ else {**os.environ, **told}
