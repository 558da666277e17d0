"""`lastmetre up`: the stack until Ctrl-C."""

from typing import Annotated

import typer
from rich.table import Table

from lastmetre.cli.console import STDERR, UsedWrongly, end_in_order_on_signals, say
from lastmetre.cli.endpoints import default_home
from lastmetre.devstack.stack import Stack


def up(
    scale: Annotated[
        list[str] | None,
        typer.Option(help="Processes of a service, as intake=2; may be given several times."),
    ] = None,
) -> None:
    """Start broker, databases and the four services, and keep them up until Ctrl-C.

    Everything lies under `LASTMETRE_HOME` (`.lastmetre` in the current folder).

    Examples:

        lastmetre up
        lastmetre up --scale dispatch=2 --scale metrics=2
        LASTMETRE_HOME=/tmp/another lastmetre up
    """
    end_in_order_on_signals()
    try:
        with Stack(default_home(), scale=_scale(scale or []), report=say) as stack:
            table = Table("service", "address")
            for service, urls in stack.endpoints.instances.items():
                for url in urls:
                    table.add_row(service, url)
            STDERR.print(table)
            say("Up. Ctrl-C stops everything.")
            for line in stack.watch():
                if line:
                    say(line)
    except KeyboardInterrupt:
        say("Stopped.")


def _scale(given: list[str]) -> dict[str, int]:
    scale: dict[str, int] = {}
    for each in given:
        service, _, count = each.partition("=")
        if not count.isdecimal():
            raise UsedWrongly(f"--scale {each}: write a service and a number, as intake=2.")
        scale[service] = int(count)
    return scale
