"""The command `lastmetre audit`."""

import asyncio
import base64
from collections import Counter
from pathlib import Path
from typing import Annotated, Final

import typer
from prometheus_client import write_to_textfile

from lastmetre.audit.balance import Balance
from lastmetre.audit.consistent_cut import Targets
from lastmetre.audit.output import Waiting, document, print_balance, progress
from lastmetre.audit.receipts import Receipt, read_receipts
from lastmetre.audit.run import reasons, take_balance
from lastmetre.audit.waiting import wait_until_quiet
from lastmetre.cli.console import STDERR, STDOUT, UsedWrongly, print_document
from lastmetre.cli.profile import Installation, installation
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.telemetry import metrics

TIMEOUT_SECONDS: Final = 300.0


def audit(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    live: Annotated[
        bool, typer.Option("--live", help="Do not wait: account for what is in flight.")
    ] = False,
    receipts: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Receipts to look up, one a line (plain or JSON)."
        ),
    ] = None,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Write the verdict there for node exporter's textfile collector."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="How long to wait until nothing is in flight, seconds.")
    ] = TIMEOUT_SECONDS,
) -> None:
    """Do the books balance? Counted from the topics and the tables, not from the services.

    Exits with 1 if a line does not balance, or if something is still in flight at the timeout;
    with 2 if it was used wrongly, with 3 if a broker or a database is not there: nothing was
    counted then.

    Examples:

        lastmetre audit
        lastmetre audit --live --json
        lastmetre audit --receipts receipts.txt
        lastmetre audit --metrics-file /var/lib/node-exporter/lastmetre_audit.prom
    """
    targets = read_targets(installation())
    given = _read(receipts) if receipts else None
    in_flight: Counter[str] = Counter()
    if not live:
        with Waiting(STDERR) as waiting, reasons():
            in_flight = asyncio.run(wait_until_quiet(targets, timeout, waiting.say))
    with progress() as on_progress:
        balance = asyncio.run(
            take_balance(
                targets, receipts=given, links=_links() if given else None, on_progress=on_progress
            )
        )
    _show(balance, in_flight, live=live, as_json=as_json)
    if metrics_file:
        _write_verdict(metrics_file, balance, in_flight)
    if in_flight or not balance.balanced:
        raise typer.Exit(1)


def read_targets(found: Installation) -> Targets:
    """What is audited; raises UsedWrongly that names what is missing."""
    access, prefix = found.broker()
    databases = {each: found.database(each, read_only=True) for each in SERVICES}
    outbox = found.find("NOTIFY_OUTBOX_DIRECTORY")
    folder = Path(outbox) if outbox else found.stack_home and found.stack_home / "outbox"
    return Targets(access, prefix, databases, folder)


def _write_verdict(file: Path, balance: Balance, in_flight: Counter[str]) -> None:
    """What nobody could count leaves the last verdict as it is, which grows old."""
    metrics.AUDIT_BALANCED.set(balance.balanced and not in_flight)
    metrics.AUDIT_UNBALANCED_LINES.set(sum(not line.balanced for line in balance))
    metrics.AUDIT_FINISHED.set_to_current_time()
    try:
        write_to_textfile(str(file), metrics.AUDIT)
    except OSError as error:
        raise UsedWrongly(f"{file} cannot be written: {error.strerror}") from error


def _links() -> SignedLinks:
    return SignedLinks(base64.urlsafe_b64decode(installation().link_key() + "=="))


def _read(file: Path) -> list[Receipt]:
    try:
        return read_receipts(file)
    except ValueError as error:
        raise UsedWrongly(str(error)) from error


def _show(balance: Balance, in_flight: Counter[str], *, live: bool, as_json: bool) -> None:
    if as_json:
        print_document(document(balance, in_flight, live=live))
    else:
        print_balance(STDOUT, balance)
    if in_flight:
        what = ", ".join(f"{who} ({count:,})" for who, count in in_flight.items())
        STDERR.print(f"[bold red]Still in flight:[/] {what}")
