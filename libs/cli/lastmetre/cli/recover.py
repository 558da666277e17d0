"""`lastmetre recover`: what `case.events` has lost, sent again from dispatch's ledger.

The service does the work (`python -m lastmetre.dispatch.recover`), run with what its processes are
told.
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

DATABASE: Final = "DISPATCH_DATABASE_URL"
SHOWN: Final = 20
_PROGRESS: Final = re.compile(r"(?:read|sent) (\d+)/(\d+)")


def recover(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, send nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Send again what the topic case.events has lost, from dispatch's ledger.

    For a topic that was deleted or truncated. Make it anew first (`lastmetre topics apply`).
    Dispatch may run, and it can be repeated. Exits with 1 if an event cannot be had again, or if
    a dry run finds something missing.

    Examples:

        lastmetre recover --dry-run
        lastmetre recover
    """
    document = _run(["--dry-run"] if dry_run else [])
    if as_json:
        print_document(document)
    else:
        _say(document)
    if document["events_without_body"]:
        raise Trouble(
            f"{document['events_without_body']:,} events cannot be had again.",
            "their bodies are not in the ledger: a backup of the topic is the only other place.",
        )
    if not document["ok"]:
        raise Trouble("The topic lacks events.", "`lastmetre recover` sends them again.")


def _say(document: Mapping[str, Any]) -> None:
    say(
        f"{document['events_on_topic']:,} events on the topic, {document['missing_events']:,} of"
        f" {document['cases_with_missing_events']:,} cases missing"
        f" ({document['seconds']:.1f} s)"
    )
    if not document["dry_run"]:
        say(f"{document['sent_events']:,} are in the outbox: dispatch sends them when it runs")
    if document["bodies_kept"]:
        say(f"{document['bodies_kept']:,} events have their body in the ledger now")
    lost = document["cannot_be_had_again"]
    for each in lost[:SHOWN]:
        seqs = ", ".join(map(str, each["seqs"]))
        STDOUT.print(f"  {each['number']}: seq {seqs}", markup=False, soft_wrap=True)
    if len(lost) > SHOWN:
        STDOUT.print("  … and more; --json names the first hundred cases")


def _run(arguments: list[str]) -> dict[str, Any]:
    """Run the tool with a progress bar; its document. Raises Trouble with what it said."""
    command = [sys.executable, "-m", "lastmetre.dispatch.recover", "--json", *arguments]
    said: list[str] = []
    with (
        TemporaryFile("w+") as answer,
        subprocess.Popen(
            command, env=_environment(), stdout=answer, stderr=subprocess.PIPE, text=True
        ) as process,
    ):
        assert process.stderr is not None
        with progress_bar("recovering", 0) as bar:
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
    """What the stack tells its dispatch; a database that is named in our own environment is one
    elsewhere, and everything else is told there, too."""
    file = Home(default_home()).run / "environment" / "dispatch-0.json"
    if not file.exists():
        if DATABASE not in os.environ:
            read_endpoints()
        return dict(os.environ)
    told = {k: v for k, v in json.loads(file.read_text("utf-8")).items() if v is not None}
    return {**told, **os.environ} if DATABASE in os.environ else {**os.environ, **told}
