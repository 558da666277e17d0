"""`lastmetre vault forget`: contacts and texts are erased from intake's vault."""

import re
from typing import Annotated

import typer

from lastmetre.cli.console import Trouble, UsedWrongly, print_document, say
from lastmetre.cli.service_tool import run_tool

app = typer.Typer(help="What intake keeps of reporters.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """A group of its own, though it has one command."""


@app.command("forget")
def forget(
    number: Annotated[str | None, typer.Option(help="The case that the report became.")] = None,
    phone_ends: Annotated[
        str | None,
        typer.Option(help="With --number: whose of its reports, by the phone's last four digits."),
    ] = None,
    report: Annotated[str | None, typer.Option(help="The report's id.")] = None,
    older_than_days: Annotated[
        int | None, typer.Option(min=1, help="Every report at its end that came before then.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, erase nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Erase what is personal: names, phones, addresses and texts. Nothing brings them back.

    A case may have several people's reports: then it has to be said whose, and nothing of the
    others is touched. What became of the report stays, and so do its category, time and position.
    Backups keep what they have until they end.

    Examples:

        lastmetre vault forget --number 261122-0418583
        lastmetre vault forget --number 261122-0418583 --phone-ends 8000
        lastmetre vault forget --older-than-days 365 --dry-run
    """
    given = {"--number": number, "--report": report, "--older-than-days": older_than_days}
    wanted = {name: str(value) for name, value in given.items() if value is not None}
    if len(wanted) != 1:
        raise UsedWrongly(
            "One of --number, --report and --older-than-days, please.",
            "`lastmetre vault forget --help` has examples.",
        )
    if phone_ends is not None:
        if number is None or not re.fullmatch("[0-9]{4}", phone_ends):
            raise UsedWrongly("--phone-ends goes with --number, and is four digits.")
        wanted["--phone-ends"] = phone_ends
    arguments = [f"{name}={value}" for name, value in wanted.items()]
    arguments += ["--dry-run"] if dry_run else []
    document = run_tool("intake", "forget", "erasing", arguments)
    if as_json:
        print_document(document)
    if whose := document.get("whose"):
        found = "".join(
            f"\n  {each['report_id']} {each['channel']} {each['reported_at']}" for each in whose
        )
        raise Trouble(
            f"The case was made of several reports:{found}",
            "Say whose: --phone-ends with four digits, or --report with one of the ids.",
        )
    if as_json:
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
