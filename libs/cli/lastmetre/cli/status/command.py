"""The command `lastmetre status`."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from lastmetre.cli.console import STDOUT, print_document, print_trouble, say, working
from lastmetre.cli.profile import installation
from lastmetre.cli.status.look import Service, Status, look


def status(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What runs, at which addresses, whether it is ready, how far behind, and what waits.

    Exits with 1 if something is not ready, naming what is missing.

    Examples:

        lastmetre status
        lastmetre status --json | jq .services[].lag
    """
    asked = installation()
    if asked.is_unknown:
        missing = asked.missing("Which installation to ask", "KAFKA_BOOTSTRAP_SERVERS")
        if as_json:
            print_document({"ready": False, "home": str(asked.home), "problem": missing.problem})
        raise missing
    with working("asking every part"):
        found = look(asked)
    if as_json:
        print_document(found.document())
    elif not found.silent:
        _print(found)
    if found.silent:
        print_trouble(
            f"nothing answers; if it was a development stack in {asked.home}, it was stopped.",
            "`make up` starts it again with all its data.",
        )
    elif not found.ready:
        print_trouble(
            "not everything is ready.",
            f"the logs are in {asked.home / 'logs'}." if (asked.home / "logs").is_dir() else "",
        )
    elif any(each.dead_letters for each in found.services):
        say("Dead letters wait for a person: `lastmetre dlq list`.")
    if not found.ready:
        raise typer.Exit(1)


def _print(found: Status) -> None:
    processes = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "process", "address", "pid", "up", "state"):
        processes.add_column(column, overflow="fold")
    for process in found.processes:
        mark = Text("✓", "green") if process.ready else Text("✗", "bold red")
        up = "" if process.up_seconds is None else str(timedelta(seconds=process.up_seconds))
        state = "ready" if process.ready else "; ".join(process.missing) or "not ready"
        pid = str(process.pid or "")
        processes.add_row(mark, process.name, process.address, pid, up, Text(state))
    STDOUT.print(processes)
    STDOUT.print()
    STDOUT.print(_books(found))
    if (last := found.last_backup) is not None:
        hours = (datetime.now(UTC) - last.begun_at) / timedelta(hours=1)
        STDOUT.print(f"\nlast verified backup: {last.name}, {hours:.1f} hours old", markup=False)
    else:
        STDOUT.print("\nlast verified backup: none is known to intake", markup=False)


def _books(found: Status) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("service")
    for column in ("outbox", "parked", "dead letters"):
        table.add_column(column, justify="right")
    table.add_column("records behind, by flow", overflow="fold")
    for service in found.services:
        counts = (service.outbox, service.parked, service.dead_letters)
        said = _lag(service) if service.database == "ok" else f"database: {service.database}"
        table.add_row(service.name, *map(_number, counts), Text(said))
    return table


def _lag(service: Service) -> str:
    return ", ".join(f"{flow} {_number(behind)}" for flow, behind in service.lag.items())


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"
