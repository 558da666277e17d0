"""The command `lastmetre doctor`."""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.text import Text

from lastmetre.cli.console import STDOUT, as_it_is, print_document, working
from lastmetre.cli.doctor.addresses import look_at_addresses
from lastmetre.cli.doctor.clocks import look_at_clocks
from lastmetre.cli.doctor.disks import look_at_disks
from lastmetre.cli.doctor.findings import Finding, Findings, Level, document
from lastmetre.cli.doctor.kafka import look_at_kafka, look_at_topics
from lastmetre.cli.doctor.messages import look_at_messages
from lastmetre.cli.doctor.postgresql import look_at_postgresql
from lastmetre.cli.doctor.rights import look_at_rights
from lastmetre.cli.doctor.secret_checks import look_at_secrets
from lastmetre.cli.doctor.services import look_at_services
from lastmetre.cli.profile import Installation, installation

Look = Callable[[Installation, Findings], Awaitable[None]]


class Check(StrEnum):
    """What is looked at."""

    KAFKA = "kafka"
    TOPICS = "topics"
    RIGHTS = "rights"
    POSTGRESQL = "postgresql"
    SERVICES = "services"
    CLOCKS = "clocks"
    DISKS = "disks"
    SECRETS = "secrets"
    ADDRESSES = "addresses"
    MESSAGES = "messages"


_MARKS: Final = {
    Level.FINE: ("✓", "green"),
    Level.UNKNOWN: ("?", "dim"),
    Level.WARNING: ("!", "yellow"),
    Level.WRONG: ("✗", "bold red"),
}


def doctor(
    only: Annotated[
        list[Check] | None, typer.Option(help="Look at this alone; may be repeated.")
    ] = None,
    skip: Annotated[
        list[Check] | None, typer.Option(help="Do not look at this; may be repeated.")
    ] = None,
    secrets: Annotated[
        Path | None,
        typer.Option(help="A folder of `lastmetre secrets make`, to be looked at as well."),
    ] = None,
    mail: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Send a test message there.")
    ] = None,
    sms: Annotated[
        str | None, typer.Option(metavar="PHONE", help="Send a test message there.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What is not as it has to be, before and after installing: what it means, and what to do.

    Looks only, and changes nothing; a message is sent only with --mail or --sms. Whatever is
    missing or does not answer is said, and the rest is looked at all the same. Exits with 1 if
    something is wrong; warnings alone are 0.

    Examples:

        lastmetre doctor
        lastmetre doctor --only secrets --secrets deploy/compose/secrets
        lastmetre doctor --only messages --mail me@example.org
        lastmetre doctor --skip addresses --json
    """
    looks: dict[Check, Look] = {
        Check.KAFKA: look_at_kafka,
        Check.TOPICS: look_at_topics,
        Check.RIGHTS: look_at_rights,
        Check.POSTGRESQL: look_at_postgresql,
        Check.SERVICES: look_at_services,
        Check.CLOCKS: look_at_clocks,
        Check.DISKS: look_at_disks,
        Check.SECRETS: partial(look_at_secrets, folder=secrets),
        Check.ADDRESSES: look_at_addresses,
        Check.MESSAGES: partial(look_at_messages, email=mail, phone=sms),
    }
    chosen = [each for each in looks if each in (only or looks) and each not in (skip or ())]
    asked = installation()
    with working("looking"):
        found = asyncio.run(_look({each: looks[each] for each in chosen}, asked))
    said = document(found)
    if as_json:
        print_document(said)
    else:
        _print(found)
    if not said["ok"]:
        raise typer.Exit(1)


async def _look(looks: dict[Check, Look], asked: Installation) -> list[Finding]:
    found = await asyncio.gather(*(_checked(check, look, asked) for check, look in looks.items()))
    return [finding for each in found for finding in each.all]


async def _checked(check: Check, look: Look, asked: Installation) -> Findings:
    said = Findings(check.value)
    try:
        await look(asked, said)
    except Exception as error:
        said.wrong(
            "check-failed",
            check.value,
            f"could not be made: {type(error).__name__}: {error}",
            "nobody knows how it is",
            "say so to whoever maintains Lastmetre; look by hand",
        )
    return said


def _print(found: list[Finding]) -> None:
    check = ""
    for each in found:
        if each.check != check:
            check = each.check
            STDOUT.print(f"[bold]{check}[/]")
        mark, style = _MARKS[each.level]
        line = Text.assemble((f"  {mark} ", style), as_it_is(f"{each.subject}: {each.found}"))
        STDOUT.print(line, soft_wrap=True)
        for title, words in (("means", each.means), ("to do", each.way_out)):
            if words:
                STDOUT.print(Text(f"      {title}: ", "dim") + as_it_is(words), soft_wrap=True)
    counts = document(found)["counts"]
    STDOUT.print(
        f"{counts['wrong']} wrong, {counts['warning']} warnings, {counts['unknown']} not looked at,"
        f" {counts['fine']} as they have to be"
    )
