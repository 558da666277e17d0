"""`lastmetre ledger export`, `import` and `verify`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from lastmetre.cli.console import (
    STDOUT,
    Bar,
    Trouble,
    as_it_is,
    print_document,
    progress_bar,
    say,
    warn,
)
from lastmetre.cli.ledger.archive import Archive
from lastmetre.cli.ledger.exporting import Exported, export_ledger
from lastmetre.cli.ledger.importing import Imported, import_ledger
from lastmetre.cli.ledger.verifying import Verified, verify_ledger
from lastmetre.cli.metrics_file import write_metrics_file
from lastmetre.cli.object_store import open_store
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.ports import BrokerError
from lastmetre.common.kafka.topic_ids import TopicIds
from lastmetre.common.kafka.topic_reader import Topics, TopicsUnreadable, open_topics
from lastmetre.common.telemetry import metrics

CLIENT: Final = "lastmetre-ledger"
SHOWN: Final = 20
app = typer.Typer(name="ledger", no_args_is_help=True)
Location = Annotated[
    str, typer.Argument(metavar="FOLDER|s3://BUCKET/PREFIX", help="Where the files are.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.callback()
def ledger() -> None:
    """The topic case.events, everything that became of every case, as files and back.

    For S3 set AWS_ENDPOINT_URL (unless it is Amazon's), AWS_REGION, AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY, or AWS_SECRET_ACCESS_KEY_FILE and so on.

    Examples:

        lastmetre ledger export /srv/backups/ledger
        lastmetre ledger export s3://city-backups/ledger --metrics-file /textfiles/ledger.prom
        lastmetre ledger verify s3://city-backups/ledger --topic
        lastmetre ledger import /srv/backups/ledger --dry-run
    """


@app.command("export")
def export_command(
    location: Location,
    metrics_file: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="Write when, there, for node exporter's textfile collector."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what is new on the topic since the last export there; the services may run.

    Cut off in the middle, or done twice, it goes on from what is whole. Exits with 1 where the
    topic is not the one that was exported before, or has lost what was: the file for Prometheus
    stays as it was then, and grows old.
    """
    begun_at = datetime.now(UTC)
    with progress_bar("exporting", 0) as bar:
        outcome = asyncio.run(_export(location, bar))
    if metrics_file:
        metrics.LEDGER_EXPORTED.set(begun_at.timestamp())
        write_metrics_file(metrics_file, metrics.LEDGER_EXPORT)
    if as_json:
        print_document(
            {
                "action": "export",
                "location": location,
                "records": outcome.records,
                "parts": outcome.parts,
                "records_in_archive": outcome.records_in_archive,
                "written_again": outcome.written_again,
            }
        )
        return
    for name in outcome.written_again:
        warn(f"{name} was not whole, and was written again")
    say(f"{outcome.records:,} events written; {outcome.records_in_archive:,} are in {location}")


@app.command("import")
def import_command(
    location: Location,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and check everything, write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write an exported ledger into the topic, which has to be empty; dispatch has to be stopped.

    Keys, headers, bodies and their order are as they were; append times are new. It cannot be
    undone but by deleting the topic: do a dry run first. Then `lastmetre recover` adds what
    dispatch knows beyond the export, and lets it write again.
    """
    with progress_bar("importing", 0) as bar:
        outcome = asyncio.run(_import(location, bar, dry_run=dry_run))
    if as_json:
        print_document(
            {
                "action": "import",
                "location": location,
                "dry_run": outcome.dry_run,
                "records": outcome.records,
                "offsets_kept": outcome.offsets_kept,
            }
        )
        return
    if not outcome.offsets_kept:
        warn("some offsets held no record and are left out: what followed has smaller offsets")
    if dry_run:
        say(f"{outcome.records:,} events can be written; the topic is empty")
    else:
        say(f"{outcome.records:,} events written. Next: `lastmetre recover`, then start dispatch.")


@app.command("verify")
def verify_command(
    location: Location,
    with_topic: Annotated[
        bool, typer.Option("--topic", help="Compare every record with the topic's, too.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Check every file of an export, and that no case lacks an event. Exits with 1 if one does."""
    with progress_bar("verifying", 0) as bar:
        outcome = asyncio.run(_verify(location, bar, with_topic=with_topic))
    if as_json:
        print_document(
            {
                "action": "verify",
                "location": location,
                "records": outcome.records,
                "cases": outcome.cases,
                "on_topic": outcome.on_topic,
                "differences": outcome.differences,
            }
        )
    else:
        _show(outcome)
    if outcome.differences:
        raise Trouble(
            f"{len(outcome.differences):,} things are wrong in {location}.",
            "export the topic to another place; `lastmetre audit --full` says whether it is whole.",
        )


def _show(outcome: Verified) -> None:
    say(f"{outcome.records:,} events of {outcome.cases:,} cases are as they were written")
    if outcome.on_topic is not None:
        say(f"{outcome.on_topic:,} of them were compared with the topic")
    for difference in outcome.differences[:SHOWN]:
        STDOUT.print(as_it_is(f"  {difference}"), soft_wrap=True)
    if len(outcome.differences) > SHOWN:
        STDOUT.print("  … and more; --json names every one")


async def _export(location: str, bar: Bar) -> Exported:
    archive = Archive(open_store(location, installation(), make=True), location)
    async with _topics() as topics:
        return await export_ledger(topics, await _topic_id(), archive, bar)


async def _import(location: str, bar: Bar, *, dry_run: bool) -> Imported:
    archive = Archive(open_store(location, installation()), location)
    access, prefix = installation().broker()
    async with _topics() as topics:
        return await import_ledger(
            topics, access, prefix + CASE_EVENTS, archive, bar, dry_run=dry_run
        )


async def _verify(location: str, bar: Bar, *, with_topic: bool) -> Verified:
    archive = Archive(open_store(location, installation()), location)
    if not with_topic:
        return await verify_ledger(archive, None, bar)
    async with _topics() as topics:
        return await verify_ledger(archive, topics, bar)


@asynccontextmanager
async def _topics() -> AsyncIterator[Topics]:
    access, prefix = installation().broker()
    try:
        async with open_topics(access, prefix, CLIENT, earliest_if_gone=False) as topics:
            yield topics
    except TopicsUnreadable as error:
        raise Trouble(error.problem, error.way_out) from error


async def _topic_id() -> str | None:
    access, prefix = installation().broker()
    ids = TopicIds(access, CLIENT)
    try:
        found = await ids.of([prefix + CASE_EVENTS])
    except BrokerError as error:
        raise Trouble(f"The broker does not tell the topic's id: {error}", "try again.") from error
    finally:
        await ids.close()
    topic_id = found.get(prefix + CASE_EVENTS)
    return str(topic_id) if topic_id else None
