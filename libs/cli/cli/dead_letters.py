"""`lastmetre dlq`: what could not be handled, shown and handled again by its own service."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.client import Refused, ServiceClient, read_endpoints
from cli.console import STDOUT, Trouble, UsedWrongly, print_document, progress_bar, say
from common.contracts.topics import SERVICES

app = typer.Typer(name="dlq", help="Dead letters: what could not be handled.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Service = Annotated[str, typer.Argument(metavar="SERVICE", help=", ".join(SERVICES))]


@app.callback()
def dlq() -> None:
    """Dead letters: what could not be handled, with the reason."""


def _known(service: str) -> str:
    if service not in SERVICES:
        raise UsedWrongly(f"{service!r} is no service; these are: {', '.join(SERVICES)}.")
    return service


def _path(service: str, *parts: object) -> str:
    return "/".join((f"/api/{service}/v1/dead-letters", *map(str, parts)))


@app.command("list")
def list_letters(
    service: Annotated[str | None, typer.Option(help="Of this service only.")] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Those replayed already too.")] = False,
    as_json: Json = False,
) -> None:
    """What waits for a person, the newest first, without the bodies."""
    wanted = [_known(service)] if service else SERVICES
    letters: list[dict[str, Any]] = []
    with ServiceClient(read_endpoints()) as services:
        for name in wanted:
            found = services.get(name, _path(name), all=all_of_them)
            letters.extend({"service": name, **letter} for letter in found)
    if as_json:
        print_document({"dead_letters": letters})
    elif letters:
        STDOUT.print(_table(letters))
    else:
        say("No dead letters.")


def _table(letters: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("service", "id", "flow", "from", "key", "died at", "replayed", "why"):
        table.add_column(column, overflow="fold")
    for each in letters:
        table.add_row(
            each["service"],
            str(each["id"]),
            each["flow"],
            f"{each['topic']}/{each['partition']}@{each['offset']}",
            each["key"] or "",
            each["died_at"][:19],
            (each["replayed_at"] or "")[:19],
            each["error"],
        )
    return table


@app.command()
def show(
    service: Service,
    letter: Annotated[int, typer.Argument(min=1, help="Its id, from `dlq list`.")],
    as_json: Json = False,
) -> None:
    """One dead letter, whole. Its body may be personal data."""
    with ServiceClient(read_endpoints()) as services:
        found = services.get(_known(service), _path(service, letter))
    if as_json:
        print_document(found)
        return
    for name, value in found.items():
        if name not in ("headers", "body", "body_base64"):
            STDOUT.print(f"[bold]{name}[/] ", end="")
            STDOUT.print(str(value), markup=False, soft_wrap=True)
    for name, value in found["headers"].items():
        STDOUT.print(f"  {name}: {value}", markup=False, soft_wrap=True)
    STDOUT.print(found["body"] or "(no body)", markup=False, soft_wrap=True)


@app.command()
def replay(
    service: Service,
    letter: Annotated[int | None, typer.Argument(min=1, help="Its id, from `dlq list`.")] = None,
    every_one: Annotated[bool, typer.Option("--all", help="Every one that waits.")] = False,
    body: Annotated[
        Path | None,
        typer.Option(help="A corrected body.", exists=True, dir_okay=False, readable=True),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try it, and undo what it did.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before replaying all.")] = False,
    as_json: Json = False,
) -> None:
    """Handle a dead letter again in its service, perhaps corrected; parked ones follow it.

    `--all` tries every one first without effect, says how many would go through, and asks.
    """
    _known(service)
    if (letter is None) == (not every_one) or (body and every_one):
        raise UsedWrongly("either one id (perhaps with --body), or --all.", "`lastmetre dlq list`.")
    change = {"body": body.read_text("utf-8")} if body else {}
    with ServiceClient(read_endpoints()) as services:
        if letter is not None:
            failed = _replay(services, service, [letter], {**change, "dry_run": dry_run})
            tried = 1
        else:
            tried, failed = _replay_all(services, service, dry_run=dry_run, yes=yes)
    document = {
        "tried": tried,
        "replayed": tried - len(failed),
        "dry_run": dry_run,
        "still_bad": [{"id": each, "reason": reason} for each, reason in failed.items()],
    }
    if as_json:
        print_document(document)
    else:
        done = "would be replayed" if dry_run else "replayed"
        say(f"{document['replayed']} of {tried} {done}")
    if failed:
        raise Trouble(
            f"{len(failed)} still cannot be handled:\n  "
            + "\n  ".join(f"{i}: {reason}" for i, reason in list(failed.items())[:20]),
            "`lastmetre dlq show` shows one; `--body FILE` replays a corrected one.",
        )


def _replay_all(
    services: ServiceClient, service: str, *, dry_run: bool, yes: bool
) -> tuple[int, dict[int, str]]:
    # The oldest first: what is parked behind one may follow from it. A list has at most 500.
    letters = sorted(each["id"] for each in services.get(service, _path(service)))
    failed = _replay(services, service, letters, {"dry_run": True}, "trying")
    good = [each for each in letters if each not in failed]
    say(f"{len(good)} of {len(letters)} waiting in {service} would go through")
    if dry_run or not good:
        return len(letters), failed
    if not yes:
        typer.confirm(f"Replay {len(good)}?", abort=True, err=True)
    return len(letters), failed | _replay(services, service, good, {})


def _replay(
    services: ServiceClient,
    service: str,
    letters: list[int],
    change: dict[str, Any],
    title: str = "replaying",
) -> dict[int, str]:
    """Replay each; returns why by id for those that failed again."""
    failed: dict[int, str] = {}
    with progress_bar(f"{title} in {service}", len(letters)) as bar:
        for letter in letters:
            try:
                services.send(service, "POST", _path(service, letter, "replay"), change)
            except Refused as refused:
                if refused.status not in (409, 422):
                    raise
                failed[letter] = str(refused.document.get("reason") or refused)
            bar.advance()
    return failed
