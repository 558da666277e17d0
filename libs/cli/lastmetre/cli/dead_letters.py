"""`lastmetre dlq list`, `show`, `replay`, `close`: what could not be handled, and what of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from lastmetre.cli.client import Refused, ServiceClient
from lastmetre.cli.console import (
    STDOUT,
    Trouble,
    UsedWrongly,
    as_it_is,
    print_document,
    progress_bar,
    say,
)
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.topics import SERVICES

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SHOWN: Final = 20
Service = Annotated[str, typer.Argument(metavar="SERVICE", help=", ".join(SERVICES))]


def known_service(service: str) -> str:
    """The same; raises UsedWrongly for one that there is not."""
    if service not in SERVICES:
        raise UsedWrongly(f"{service!r} is no service; these are: {', '.join(SERVICES)}.")
    return service


def _path(service: str, *parts: object) -> str:
    return "/".join((f"/api/{service}/v1/dead-letters", *map(str, parts)))


def _letters(services: ServiceClient, service: str, **wanted: Any) -> Iterator[dict[str, Any]]:
    """All of a service's, the newest first."""
    page = services.get_internal(service, _path(service), **wanted)
    while page:
        yield from page
        page = services.get_internal(service, _path(service), before=page[-1]["id"], **wanted)


def list_letters(
    service: Annotated[str | None, typer.Option(help="Of this service only.")] = None,
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Those replayed or closed, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """What waits for a person, the newest first, without the bodies."""
    wanted = [known_service(service)] if service else SERVICES
    with ServiceClient(installation()) as services:
        letters = [
            {"service": name, **letter}
            for name in wanted
            for letter in _letters(services, name, all=all_of_them)
        ]
    if as_json:
        print_document({"dead_letters": letters})
    elif letters:
        STDOUT.print(table_of(letters))
    else:
        say("No dead letters.")


def table_of(letters: list[dict[str, Any]]) -> Table:
    """As a person reads them; what partners wrote controls no terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("service", "id", "flow", "from", "key", "died at", "done", "why"):
        table.add_column(column, overflow="fold")
    for each in letters:
        cells = (
            each["service"],
            each["id"],
            each["flow"],
            f"{each['topic']}/{each['partition']}@{each['offset']}",
            each["key"] or "",
            each["died_at"][:19],
            _done(each),
            each["error"],
        )
        table.add_row(*map(as_it_is, cells))
    return table


def _done(letter: dict[str, Any]) -> str:
    if at := letter["replayed_at"]:
        return f"replayed {at[:19]}{' corrected' if letter['corrected'] else ''}"
    if at := letter["closed_at"]:
        return f"closed {at[:19]} by {letter['closed_by']}: {letter['closed_reason']}"
    return ""


def show(
    service: Service,
    letter: Annotated[int, typer.Argument(min=1, help="Its id, from `dlq list`.")],
    as_json: Json = False,
) -> None:
    """One dead letter, whole. Its body may be personal data."""
    with ServiceClient(installation()) as services, _unknown(service, letter):
        found = services.get_internal(known_service(service), _path(service, letter))
    if as_json:
        print_document(found)
        return
    for name, value in found.items():
        if name not in ("headers", "body", "body_base64"):
            STDOUT.print(f"[bold]{name}[/] ", end="")
            STDOUT.print(as_it_is(value), soft_wrap=True)
    for name, value in found["headers"].items():
        STDOUT.print(as_it_is(f"  {name}: {value}"), soft_wrap=True)
    STDOUT.print(as_it_is(found["body"] or "(no body)"), soft_wrap=True)


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

    The corrected body has to be about the same thing: its record keeps key, headers and place.

    `--all` tries every one first without effect, says how many would go through, and asks.
    """
    known_service(service)
    if (letter is None) == (not every_one) or (body and every_one):
        raise UsedWrongly(
            "one dead letter (perhaps with --body), or --all.",
            f"`lastmetre dlq replay {service} 3`; `lastmetre dlq list` shows the ids.",
        )
    change = {"body": _text(body)} if body else {}
    with ServiceClient(installation()) as services:
        if letter is not None:
            tried = [letter]
            outcome = _replay(services, service, tried, {**change, "dry_run": dry_run})
        else:
            tried, outcome = _replay_all(services, service, dry_run=dry_run, yes=yes)
    done = len(tried) - len(outcome.bad) - len(outcome.already)
    document = {
        "tried": len(tried),
        "replayed": done,
        "dry_run": dry_run,
        "replayed_before": outcome.already,
        "still_bad": [{"id": each, "reason": reason} for each, reason in outcome.bad.items()],
    }
    if as_json:
        print_document(document)
    else:
        before = f", {len(outcome.already)} were before" if outcome.already else ""
        say(f"{done} of {len(tried)} {'would be ' if dry_run else ''}replayed{before}")
    if outcome.bad:
        raise Trouble(
            f"{len(outcome.bad)} still cannot be handled:\n  "
            + "\n  ".join(f"{i}: {reason}" for i, reason in list(outcome.bad.items())[:SHOWN]),
            "`lastmetre dlq show` shows one; `--body FILE` replays a corrected one.",
        )


def close(
    service: Service,
    letter: Annotated[int, typer.Argument(min=1, help="Its id, from `dlq list`.")],
    reason: Annotated[
        str, typer.Option(help="Why, in up to 500 characters. It stays: nothing personal.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say whether it could be closed, change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Decide that a dead letter is to have no effect: no alert waits for it any more.

    It stays in the books as dead, with who has closed it and why. Until its record is erased
    (`lastmetre vault forget`) it can be replayed yet. Not for events of a case: later ones wait.

    Examples:

        lastmetre dlq close dispatch 3 --reason "the partner sent it again, as action 4711"
    """
    known_service(service)
    with ServiceClient(installation()) as services, _unknown(service, letter):
        try:
            done = services.send_internal(
                service,
                "POST",
                _path(service, letter, "close"),
                {"reason": reason, "dry_run": dry_run},
            )
        except Refused as refused:
            if refused.status == 422:
                raise UsedWrongly(
                    "--reason needs 1 to 500 characters.", "say in a few words why."
                ) from refused
            if refused.status != 409:
                raise
            raise Trouble(
                str(refused.document.get("title") or refused),
                f"`lastmetre dlq show {service} {letter}`; `dlq replay` handles it again.",
            ) from refused
    if as_json:
        print_document(done)
    else:
        say(f"dead letter {letter} of {service} {'could be' if dry_run else 'is'} closed")


@contextmanager
def _unknown(service: str, letter: int) -> Iterator[None]:
    try:
        yield
    except Refused as refused:
        if refused.status != 404:
            raise
        raise UsedWrongly(
            f"{service} has no dead letter {letter}.", "`lastmetre dlq list` shows the ids."
        ) from refused


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except UnicodeDecodeError:
        raise UsedWrongly(f"{file} is not UTF-8.") from None


@dataclass
class _Outcome:
    """What became of letters: why by id for those that failed again, ids of those done before."""

    bad: dict[int, str] = field(default_factory=dict)
    already: list[int] = field(default_factory=list)


def _replay_all(
    services: ServiceClient, service: str, *, dry_run: bool, yes: bool
) -> tuple[list[int], _Outcome]:
    # The oldest first: what is parked behind one may follow from it.
    letters = sorted(each["id"] for each in _letters(services, service))
    tried = _replay(services, service, letters, {"dry_run": True}, "trying")
    good = [each for each in letters if each not in tried.bad and each not in tried.already]
    say(f"{len(good)} of {len(letters)} waiting in {service} would go through")
    if dry_run or not good:
        return letters, tried
    if not yes:
        typer.confirm(f"Replay {len(good)}?", abort=True, err=True)
    done = _replay(services, service, good, {})
    return letters, _Outcome(tried.bad | done.bad, tried.already + done.already)


def _replay(
    services: ServiceClient,
    service: str,
    letters: list[int],
    change: dict[str, Any],
    title: str = "replaying",
) -> _Outcome:
    outcome = _Outcome()
    with progress_bar(f"{title} in {service}", len(letters)) as bar:
        for letter in letters:
            try:
                with _unknown(service, letter):
                    services.send_internal(
                        service, "POST", _path(service, letter, "replay"), change
                    )
            except Refused as refused:
                if refused.status == 409:
                    # By somebody else, or by us where the first answer was lost.
                    outcome.already.append(letter)
                elif refused.status == 422:
                    outcome.bad[letter] = str(refused.document.get("reason") or refused)
                else:
                    raise
            bar.advance()
    return outcome
