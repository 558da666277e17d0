"""The command `lastmetre audit`."""

import asyncio
import base64
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer

from lastmetre.audit.checkpoint import Checkpoint, CheckpointUnusable
from lastmetre.audit.checkpoint_place import CheckpointPlace, checkpoint_place
from lastmetre.audit.consistent_cut import Targets
from lastmetre.audit.output import Waiting, document, print_balance, progress
from lastmetre.audit.receipts import Receipt, read_receipts
from lastmetre.audit.run import Audited, reasons, take_balance
from lastmetre.audit.waiting import wait_until_quiet
from lastmetre.cli.console import STDERR, STDOUT, Trouble, UsedWrongly, print_document, say, warn
from lastmetre.cli.metrics_file import write_metrics_file
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
    full: Annotated[
        bool, typer.Option("--full", help="Count everything, not only what is new.")
    ] = False,
    full_after: Annotated[
        float | None,
        typer.Option(min=0, metavar="DAYS", help="The same, if that was last done so long ago."),
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

    What has balanced is noted in a checkpoint, on from which the next audit counts: in the file or
    S3 object that LASTMETRE_AUDIT_CHECKPOINT names, or in the folder of a development stack.
    Without one, or where it does not hold any more, everything is counted, and it is said why.

    Exits with 1 if a line does not balance, or if something is still in flight at the timeout;
    with 2 if it was used wrongly, with 3 if a broker or a database is not there: nothing was
    counted then.

    Examples:

        lastmetre audit
        lastmetre audit --live --json
        lastmetre audit --live --full-after 7
        lastmetre audit --receipts receipts.txt
        lastmetre audit --metrics-file /var/lib/node-exporter/lastmetre_audit.prom
    """
    targets = read_targets(installation())
    given = _read(receipts) if receipts else None
    in_flight: Counter[str] = Counter()
    place = checkpoint_place(installation())
    checkpoint = _checkpoint(place, full_after) if place and not full else None
    if not live:
        with Waiting(STDERR) as waiting, reasons():
            in_flight = asyncio.run(wait_until_quiet(targets, timeout, waiting.say))
    count = partial(take_balance, targets, receipts=given, links=_links() if given else None)
    with progress() as on_progress:
        audited = asyncio.run(count(checkpoint=checkpoint, on_progress=on_progress))
    if audited.since and not audited.balance.balanced:
        # What differs is said from the whole, so that nobody is sent after what only seems to.
        lines = ", ".join(line.name for line in audited.balance if not line.balanced)
        warn(f"What came since the checkpoint does not balance ({lines}): everything is counted.")
        with progress() as on_progress:
            audited = asyncio.run(count(on_progress=on_progress))
        audited = replace(
            audited, everything_because="what came since the checkpoint does not balance"
        )
    _show(audited, in_flight, live=live, as_json=as_json)
    if metrics_file:
        _write_verdict(metrics_file, audited, in_flight)
    if place:
        _keep_checkpoint(place, audited)
    if in_flight or not audited.balance.balanced:
        raise typer.Exit(1)


def read_targets(found: Installation) -> Targets:
    """What is audited; raises UsedWrongly that names what is missing."""
    access, prefix = found.broker()
    databases = {each: found.database(each, read_only=True) for each in SERVICES}
    outbox = found.find("NOTIFY_OUTBOX_DIRECTORY")
    folder = Path(outbox) if outbox else found.stack_home and found.stack_home / "outbox"
    return Targets(access, prefix, databases, folder)


def _checkpoint(place: CheckpointPlace, full_after: float | None) -> Checkpoint | None:
    """The one that is there; None, and why, if everything has to be counted."""
    try:
        found = place.read()
        if full_after is not None and datetime.now(UTC) - found.full_at >= timedelta(full_after):
            raise CheckpointUnusable(f"that was last done on {_moment(found.full_at)}")
        return found
    except UsedWrongly:
        raise
    except (CheckpointUnusable, Trouble) as error:
        say(f"Everything is counted: {error}.")
        return None


def _keep_checkpoint(place: CheckpointPlace, audited: Audited) -> None:
    """The verdict stands whether or not it can be kept: then the next audit has more to count."""
    if audited.none_because:
        warn(f"no checkpoint was made: {audited.none_because}")
    if audited.next is None:
        return
    try:
        place.write(audited.next)
    except Trouble as trouble:
        warn(f"the checkpoint was not kept: {trouble}")


def _write_verdict(file: Path, audited: Audited, in_flight: Counter[str]) -> None:
    """What nobody could count leaves the last verdict as it is, which grows old."""
    balance = audited.balance
    metrics.AUDIT_BALANCED.set(balance.balanced and not in_flight)
    metrics.AUDIT_UNBALANCED_LINES.set(sum(not line.balanced for line in balance))
    metrics.AUDIT_FINISHED.set_to_current_time()
    if audited.since:
        metrics.AUDIT_FULL.set(audited.since.full_at.timestamp())
    else:
        metrics.AUDIT_FULL.set_to_current_time()
    write_metrics_file(file, metrics.AUDIT)


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M} UTC"


def _links() -> SignedLinks:
    return SignedLinks(base64.urlsafe_b64decode(installation().link_key() + "=="))


def _read(file: Path) -> list[Receipt]:
    try:
        return read_receipts(file)
    except ValueError as error:
        raise UsedWrongly(str(error)) from error


def _show(audited: Audited, in_flight: Counter[str], *, live: bool, as_json: bool) -> None:
    if audited.everything_because:
        say(f"Everything was counted: {audited.everything_because}.")
    if as_json:
        print_document(document(audited, in_flight, live=live))
    else:
        print_balance(STDOUT, audited.balance)
        if audited.since:
            STDOUT.print(
                f"Counted: what came, or was touched, since {_moment(audited.since.taken_at)}."
                f" --full counts everything, as last on {_moment(audited.since.full_at)}.",
                soft_wrap=True,
            )
    if in_flight:
        what = ", ".join(f"{who} ({count:,})" for who, count in in_flight.items())
        STDERR.print(f"[bold red]Still in flight:[/] {what}")
