"""The commands `lastmetre backup …`."""

import json
import os
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.backup.backup_folder import BackupFolder
from lastmetre.cli.backup.base_backup import make_base_backup
from lastmetre.cli.backup.kafka_copy import utc_now
from lastmetre.cli.backup.making import Sources, begin, finish
from lastmetre.cli.backup.manifest import Manifest, ReadPosition, read_manifest
from lastmetre.cli.backup.pruning import log_before, too_old
from lastmetre.cli.backup.sealing import check_recipient, new_identity
from lastmetre.cli.backup.verifying import verify as verify_backup
from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly, print_document, say, working
from lastmetre.cli.databases import SUPERUSER
from lastmetre.cli.profile import installation
from lastmetre.cli.service_tool import run_tool

app = typer.Typer(name="backup", no_args_is_help=True)
KEEP_DAYS: Final = 30
KEEP_LEAST: Final = 3

FolderOption = Annotated[
    Path,
    typer.Option(
        "--from", "--to", exists=True, file_okay=False, envvar="LASTMETRE_BACKUPS",
        help="The folder of all backups, on another disk.",
    ),
]  # fmt: skip
KafkaData = Annotated[
    Path | None,
    typer.Option(
        exists=True, file_okay=False,
        help="Kafka's log.dirs: the topics are copied from there.",
    ),
]  # fmt: skip
SecretsFolder = Annotated[
    Path | None,
    typer.Option(
        exists=True, file_okay=False,
        help="The folder of keys and passwords, which is sealed.",
    ),
]  # fmt: skip
Recipient = Annotated[
    str,
    typer.Option(
        envvar="LASTMETRE_BACKUP_RECIPIENT", metavar="age1…",
        help="For whom secrets are sealed: what `lastmetre backup key` has said.",
    ),
]  # fmt: skip
Without = Annotated[
    list[str] | None,
    typer.Option(metavar="topics|secrets", help="Leave this out; may be repeated."),
]
KeepDays = Annotated[int | None, typer.Option(min=1, help="Then prune: younger ones stay, days.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.callback()
def backup() -> None:
    """Backups of databases, topics and secrets on one server."""


@app.command()
def make(
    folder: FolderOption,
    kafka_data: KafkaData = None,
    secrets: SecretsFolder = None,
    recipient: Recipient = "",
    without: Without = None,
    keep_days: KeepDays = None,
    pg_basebackup: Annotated[str, typer.Option(help="PostgreSQL's program.")] = "pg_basebackup",
) -> None:
    """Back up all databases, the topics and the secrets, verify that, and confirm it to intake.

    Everything may run meanwhile. POSTGRES_SUPERUSER_URL is whom pg_basebackup connects as. Only
    what was verified is in `list`; intake keeps the channels' records until then.

    Examples:

        lastmetre backup make --to /backups --kafka-data /srv/kafka --secrets secrets \\
            --recipient age1…
    """
    sources = _sources(kafka_data, secrets, recipient, without)
    superuser = installation().need("How PostgreSQL is reached as its superuser", SUPERUSER)
    store = BackupFolder(folder)
    with store.locked():
        target = begin(store, _read_positions(), utc_now())
        with working("base backup of PostgreSQL"):
            make_base_backup(superuser, target, pg_basebackup)
        _finish(store, sources, keep_days)


@app.command(name="begin")
def begin_only(folder: FolderOption) -> None:
    """Where pg_basebackup runs elsewhere: what comes before it.

    Then `pg_basebackup --pgdata BACKUPS/begun/postgresql --wal-method stream --checkpoint fast
    --manifest-checksums SHA256`, then `lastmetre backup finish`.
    """
    store = BackupFolder(folder)
    with store.locked():
        STDOUT.print(str(begin(store, _read_positions(), utc_now())), markup=False)


@app.command(name="finish")
def finish_only(
    folder: FolderOption,
    kafka_data: KafkaData = None,
    secrets: SecretsFolder = None,
    recipient: Recipient = "",
    without: Without = None,
    keep_days: KeepDays = None,
) -> None:
    """Where pg_basebackup runs elsewhere: what comes after it, as `make` does it."""
    store = BackupFolder(folder)
    with store.locked():
        _finish(store, _sources(kafka_data, secrets, recipient, without), keep_days)


@app.command(name="list")
def list_backups(folder: FolderOption, as_json: AsJson = False) -> None:
    """The complete backups, the oldest first."""
    manifests = BackupFolder(folder).manifests()
    if as_json:
        print_document([_summary(each) for each in manifests])
        return
    for each in manifests:
        parts = ["databases"] + ["topics"] * bool(each.kafka) + ["secrets"] * bool(each.secrets)
        STDOUT.print(
            f"{each.name}  {each.size / 1e6:>10,.1f} MB  {', '.join(parts)}"
            f"  (Lastmetre {each.lastmetre}, PostgreSQL {each.postgresql.version})",
            markup=False,
            soft_wrap=True,
        )
    if not manifests:
        say("There is none.")


@app.command()
def verify(
    folder: FolderOption,
    name: Annotated[
        str | None, typer.Argument(help="Which backup; the youngest if none is named.")
    ] = None,
) -> None:
    """Read a backup again: every file, every batch of the topics, PostgreSQL's log.

    Exits with 1 if it is damaged. If it is whole, it is confirmed to intake, unless a younger one
    has been.
    """
    store = BackupFolder(folder)
    found = store.folder(name)
    manifest = read_manifest(found)
    with working(f"verifying {manifest.name}"):
        wrong = verify_backup(found, manifest)
    if wrong:
        raise Trouble(
            f"The backup {manifest.name} is damaged.",
            "make another; restore none of the damaged.",
            "\n".join(wrong[:20]),
        )
    say(f"{manifest.name} is whole.")
    _confirm(manifest)


@app.command()
def prune(
    folder: FolderOption,
    keep_days: Annotated[int, typer.Option(min=1, help="Younger ones stay, days.")] = KEEP_DAYS,
    keep_least: Annotated[
        int, typer.Option(min=1, help="So many of the youngest stay in any case.")
    ] = KEEP_LEAST,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name them, delete nothing.")] = False,
) -> None:
    """Delete old backups, and PostgreSQL's log from before the oldest that stays.

    What was erased for residents ends with the last backup that had it: do not keep them longer
    than the city has promised.
    """
    store = BackupFolder(folder)
    with store.locked():
        _prune(store, keep_days, keep_least, dry_run=dry_run)


@app.command()
def key(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Not there yet.")],
) -> None:
    """Make the key that opens secrets in backups; say its public one, for --recipient.

    Keep the file off this machine, twice: without it the secrets in backups cannot be opened.
    The program `age` opens them, too.
    """
    identity, public = new_identity()
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(f"# public key: {public}\n{identity}\n")
    except OSError as error:
        raise Trouble(f"{file}: {error.strerror}.", "name a file that is not there yet.") from None
    STDOUT.print(public, markup=False)


def _sources(
    kafka_data: Path | None, secrets: Path | None, recipient: str, without: list[str] | None
) -> Sources:
    left_out = set(without or [])
    if unknown := left_out - {"topics", "secrets"}:
        raise UsedWrongly(f"--without {', '.join(unknown)}: topics or secrets can be left out.")
    if kafka_data is None and "topics" not in left_out:
        raise UsedWrongly("--kafka-data is missing.", "or say --without topics.")
    if "secrets" not in left_out:
        if secrets is None:
            raise UsedWrongly("--secrets is missing.", "or say --without secrets.")
        check_recipient(recipient)
    _, prefix = installation().broker()
    return Sources(
        None if "topics" in left_out else kafka_data,
        None if "secrets" in left_out else secrets,
        recipient,
        prefix,
    )


def _finish(store: BackupFolder, sources: Sources, keep_days: int | None) -> None:
    try:
        with working("topics and secrets, and verifying all of it"):
            manifest = finish(store, sources, utc_now)
    except OSError as error:
        raise Trouble(
            f"{error.filename or store.begun}: {error.strerror}.",
            "the backup is not complete; mend that, and make another.",
        ) from error
    STDOUT.print(manifest.name, markup=False)
    _confirm(manifest)
    if keep_days is not None:
        _prune(store, keep_days, KEEP_LEAST, dry_run=False)


def _prune(store: BackupFolder, keep_days: int, keep_least: int, *, dry_run: bool) -> None:
    manifests = store.manifests()
    leaving = too_old(manifests, utc_now(), timedelta(days=keep_days), keep_least)
    staying = manifests[len(leaving) :]
    log = log_before(store, staying[0]) if staying else []
    for each in leaving:
        STDOUT.print(f"{each.name} goes", markup=False)
    say(f"{len(leaving)} backups and {len(log)} files of the log go; {len(staying)} backups stay")
    if not dry_run:
        store.delete([each.name for each in leaving], log)


def _read_positions() -> list[ReadPosition]:
    document = run_tool("intake", "backup_mark", "asking intake", ["--read"])
    return [ReadPosition.model_validate(each) for each in document["read_positions"]]


def _confirm(manifest: Manifest) -> None:
    """Tell intake what this backup brings back: what the channels hold beside it may go."""
    mark = manifest.model_dump_json(include={"name", "begun_at", "read_positions"})
    with NamedTemporaryFile("w", suffix=".json") as file:
        file.write(mark)
        file.flush()
        document = run_tool("intake", "backup_mark", "confirming", ["--confirm", file.name])
    say(f"{manifest.name} is confirmed to intake." if document["confirmed"] else
        "A younger backup is confirmed already.")  # fmt: skip


def _summary(manifest: Manifest) -> dict[str, Any]:
    shown = json.loads(manifest.model_dump_json(exclude={"files", "read_positions"}))
    return {**shown, "size": manifest.size, "files": len(manifest.files)}
