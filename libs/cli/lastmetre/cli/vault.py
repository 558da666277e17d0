"""`lastmetre vault forget`: contacts and texts are erased from intake's vault."""

from typing import Annotated

import typer

from lastmetre.cli.console import UsedWrongly, print_document, say
from lastmetre.cli.service_tool import run_tool

app = typer.Typer(help="What intake keeps of reporters.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """A group of its own, though it has one command."""


@app.command("forget")
def forget(
    number: Annotated[str | None, typer.Option(help="The case that the report became.")] = None,
    report: Annotated[str | None, typer.Option(help="The report's id.")] = None,
    older_than_days: Annotated[
        int | None, typer.Option(min=1, help="Every report at its end that came before then.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, erase nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Erase what is personal: names, phones, addresses and texts. Nothing brings them back.

    What became of the report stays, and so do its category, time and position. Backups keep what
    they have until they end.

    Examples:

        lastmetre vault forget --number 261122-0418583
        lastmetre vault forget --older-than-days 365 --dry-run
    """
    given = {"--number": number, "--report": report, "--older-than-days": older_than_days}
    wanted = {name: str(value) for name, value in given.items() if value is not None}
    if len(wanted) != 1:
        raise UsedWrongly(
            "One of --number, --report and --older-than-days, please.",
            "`lastmetre vault forget --help` has examples.",
        )
    ((name, value),) = wanted.items()
    arguments = [f"{name}={value}", *(["--dry-run"] if dry_run else [])]
    document = run_tool("intake", "forget", "erasing", arguments)
    if as_json:
        print_document(document)
        return
    will = "would be" if dry_run else "are"
    say(f"contacts and texts of {document['reports']:,} reports {will} erased")
    if document["dead_letters"]:
        say(f"bodies of {document['dead_letters']:,} replayed dead letters {will} erased")
    if document["dead_letters_waiting"]:
        say(
            f"{document['dead_letters_waiting']:,} dead letters as old still wait for a person:"
            " `lastmetre dlq list` shows them"
        )
