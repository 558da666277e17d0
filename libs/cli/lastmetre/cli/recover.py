"""`lastmetre recover`: what `case.events` has lost, sent again from dispatch's ledger.

The service does the work (`lastmetre.dispatch.entrypoints.recover`), run with what its processes
are told.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.console import STDOUT, Trouble, print_document, say
from lastmetre.cli.service_tool import run_tool

SHOWN: Final = 20


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
    document = run_tool("dispatch", "recover", "recovering", ["--dry-run"] if dry_run else [])
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
