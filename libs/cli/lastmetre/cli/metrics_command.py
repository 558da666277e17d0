"""`lastmetre metrics`: the figures worked out anew from the ledger, or held against it.

The service does the work (`lastmetre.metrics.entrypoints.rebuild`), told what its processes are.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.console import STDOUT, Trouble, print_document, say
from lastmetre.cli.service_tool import run_tool

app = typer.Typer(name="metrics", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SHOWN: Final = 20


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
    document = run_tool("metrics", "rebuild", "rebuilding", [])
    if as_json:
        print_document(document)
    else:
        _say(document, "rebuilt")


@app.command()
def verify(as_json: Json = False) -> None:
    """Compare the live facts with a fold of the ledger; exits with 1 if a case differs.

    Of an event that was a dead letter and replayed with a corrected body, that body counts.
    """
    document = run_tool("metrics", "rebuild", "verifying", ["--verify"])
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
