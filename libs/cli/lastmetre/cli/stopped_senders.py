"""`lastmetre dlq senders` and `release`: senders that were stopped for their dead letters."""

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
    say,
    working,
)
from lastmetre.cli.dead_letters import Json, Service, known_service
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.topics import SERVICES

SENDERS: Final = "`lastmetre dlq senders` shows those that are stopped."


def senders(
    service: Annotated[str | None, typer.Option(help="Of this service only.")] = None,
    as_json: Json = False,
) -> None:
    """Who is stopped since most of its records were dead letters: since when, why, what waits.

    A sender is stopped in a partition of a topic; what it sends there later is held back, and
    nobody else is kept waiting.
    """
    wanted = [known_service(service)] if service else SERVICES
    with ServiceClient(installation()) as services:
        stopped = [
            {"service": name, **sender} for name in wanted for sender in _stopped(services, name)
        ]
    if as_json:
        print_document({"stopped_senders": stopped})
    elif stopped:
        STDOUT.print(table_of(stopped))
    else:
        say("No sender is stopped.")


def table_of(stopped: list[dict[str, Any]]) -> Table:
    """As a person reads them; what partners wrote controls no terminal."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("service", "sender", "topic", "stopped at", "held back", "why"):
        table.add_column(column, overflow="fold")
    for each in stopped:
        cells = (
            each["service"],
            repr(each["source"]),
            f"{each['topic']}/{each['partition']}",
            each["stopped_at"][:19],
            each["held_back"],
            each["reason"] or "",
        )
        table.add_row(*map(as_it_is, cells))
    return table


def release(
    service: Service,
    sender: Annotated[str, typer.Argument(help="Its name, from `dlq senders`; may be ''.")],
    topic: Annotated[str | None, typer.Option(help="In this topic only.")] = None,
    partition: Annotated[int | None, typer.Option(min=0, help="In this partition only.")] = None,
    accept_dead_letters: Annotated[
        bool,
        typer.Option("--accept-dead-letters", help="Though most of what is held back is bad."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try the first records, and undo what they did.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before releasing.")] = False,
    as_json: Json = False,
) -> None:
    """Let a stopped sender go on: what is held back is handled first, in order.

    The first 500 records of each partition are tried without effect, and it says how many of them
    would be dead letters, and asks. Where it is more than half of them it refuses, unless
    `--accept-dead-letters` is given. If it ends early, give the same command again.

    Examples:

        lastmetre dlq release intake /channels/app/partner --dry-run
        lastmetre dlq release intake /channels/app/partner --topic channels.app --yes
    """
    known_service(service)
    with ServiceClient(installation()) as services:
        chosen = [
            each
            for each in _stopped(services, service)
            if each["source"] == sender
            and topic in (None, each["topic"])
            and partition in (None, each["partition"])
        ]
        if not chosen:
            raise UsedWrongly(f"{service} has no such stopped sender: {sender!r}.", SENDERS)
        asked = [
            {name: each[name] for name in ("consumer", "topic", "partition", "source")}
            | {"accept_dead_letters": accept_dead_letters}
            for each in chosen
        ]
        tried = [_portion(services, service, each | {"dry_run": True}) for each in asked]
        waiting = sum(each["held_back"] for each in chosen)
        dead = sum(each["dead_letters"] for each in tried)
        say(
            f"{sender!r} in {len(chosen)} partitions: {waiting} records are held back; of the first"
            f" {sum(each['handled'] for each in tried)} {dead} would be dead letters"
        )
        if dry_run:
            done = tried
        else:
            if not yes:
                typer.confirm("Release?", abort=True, err=True)
            done = [_released(services, service, each) for each in asked]
    document = {
        "partitions": len(chosen),
        "held_back": waiting,
        "handled": sum(each["handled"] for each in done),
        "dead_letters": sum(each["dead_letters"] for each in done),
        "dry_run": dry_run,
    }
    if as_json:
        print_document(document)
    elif not dry_run:
        say(f"Released: {document['handled']} handled, {document['dead_letters']} dead letters")


def _released(services: ServiceClient, service: str, asked: dict[str, Any]) -> dict[str, int]:
    """Portion by portion, until nothing is held back any more."""
    total = {"handled": 0, "dead_letters": 0}
    place = f"{asked['topic']}/{asked['partition']}"
    with working(f"{place}: nothing handled yet") as bar:
        while True:
            portion = _portion(services, service, asked)
            for name in total:
                total[name] += portion[name]
            if portion["released"]:
                return total
            bar.title(f"{place}: {total['handled']} handled")


def _portion(services: ServiceClient, service: str, asked: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/{service}/v1/stopped-senders/release"
    try:
        portion: dict[str, Any] = services.send_internal(service, "POST", path, asked)
    except Refused as refused:
        if refused.status == 404:
            # By somebody else, or by us where the answer was lost.
            return {"handled": 0, "dead_letters": 0, "released": True}
        if refused.status != 422:
            raise
        raise Trouble(
            f"{asked['source']!r} in {asked['topic']}/{asked['partition']} stays stopped:"
            f" {refused.document.get('reason') or refused}",
            "`--accept-dead-letters` releases it all the same, `lastmetre dlq replay` takes them"
            " corrected."
            if refused.document.get("type") == "/problems/still-bad"
            else "A newer build of the service can read it.",
        ) from refused
    return portion


def _stopped(services: ServiceClient, service: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = services.get_internal(
        service, f"/api/{service}/v1/stopped-senders"
    )
    return found
