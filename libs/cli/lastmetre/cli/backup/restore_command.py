"""The command `lastmetre restore`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lastmetre.cli.backup.backup_folder import BackupFolder
from lastmetre.cli.backup.command import FolderOption
from lastmetre.cli.backup.manifest import KAFKA, POSTGRESQL, SECRETS, Manifest, read_manifest
from lastmetre.cli.backup.restoring import Part, Recovery, Until, check_stopped
from lastmetre.cli.backup.restoring import restore as bring_back
from lastmetre.cli.backup.sealing import read_identity
from lastmetre.cli.backup.verifying import verify
from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly, say, warn, working


def restore(
    folder: FolderOption,
    name: Annotated[
        str | None, typer.Argument(help="Which backup; the youngest if none is named.")
    ] = None,
    postgresql: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Restore the databases: PostgreSQL's data folder."),
    ] = None,
    kafka: Annotated[
        Path | None, typer.Option(file_okay=False, help="Restore the topics: Kafka's log.dirs.")
    ] = None,
    secrets: Annotated[
        Path | None, typer.Option(file_okay=False, help="Restore keys and passwords there.")
    ] = None,
    identity: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="The file with the key that opens the secrets."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="backup|end|TIME",
            help="How far the databases follow their log: to the backup's instant (default with"
            " --kafka), to its end (default without), or to a time as 2026-12-01T09:30:00Z.",
        ),
    ] = None,
    archive: Annotated[
        str | None,
        typer.Option(help="The folder of PostgreSQL's log as PostgreSQL sees it."),
    ] = None,
    postgresql_owner: Annotated[
        int | None, typer.Option(help="Number of PostgreSQL's user, where root restores.")
    ] = None,
    kafka_owner: Annotated[
        int | None, typer.Option(help="Number of Kafka's user, where root restores.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete what is in these folders.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be replaced, and change nothing.")
    ] = False,
) -> None:
    """Bring back a backup, or parts of it, into the folders that are named.

    Everything has to be stopped. The backup is verified before anything is replaced, and a folder
    that is not empty is refused without --replace. Files get the owner of their folder.

    Everything lost: --postgresql, --kafka and --secrets together. The books balance as of the
    backup; what came later is lost. PostgreSQL's disk lost: --postgresql alone; the services read
    what the last minute lacks from Kafka. Kafka's disk lost: --kafka alone, then
    `lastmetre recover`.

    Examples:

        lastmetre restore --from /backups --dry-run --postgresql /srv/postgresql
        lastmetre restore --from /backups --postgresql /srv/postgresql --replace
    """
    store = BackupFolder(folder)
    backup = store.folder(name)
    manifest = read_manifest(backup)
    parts = _parts(manifest, postgresql, kafka, secrets, (postgresql_owner, kafka_owner))
    key = read_identity(identity) if identity else None
    if secrets and key is None:
        raise UsedWrongly("The secrets are sealed.", "name the file with their key by --identity.")
    recovery = Recovery(
        _until(until, manifest, with_kafka=kafka is not None), archive or str(store.archive)
    )
    _say(manifest, parts, recovery)
    for part in parts:
        check_stopped(part)
    if not dry_run and not replace and (full := [each for each in parts if each.there()]):
        raise Trouble(
            f"{', '.join(str(each.target) for each in full)}: not empty.",
            "`--dry-run` says what would be replaced, `--replace` does it.",
        )
    with working("verifying the backup"):
        wrong = verify(backup, manifest)
    if wrong:
        raise Trouble(
            f"The backup {manifest.name} is damaged.",
            "restore another: `lastmetre backup list`.",
            "\n".join(wrong[:20]),
        )
    if dry_run:
        say("The backup is whole. Nothing was changed.")
        return
    try:
        with working("restoring"):
            bring_back(backup, manifest, parts, recovery, key)
    except OSError as error:
        raise Trouble(
            f"{error.filename or 'A file'}: {error.strerror}.",
            "what was restored so far is not whole: mend that, and again with --replace.",
        ) from error
    _say_what_comes_next(kafka=kafka is not None, postgresql=postgresql is not None)


def _parts(
    manifest: Manifest,
    postgresql: Path | None,
    kafka: Path | None,
    secrets: Path | None,
    owners: tuple[int | None, int | None],
) -> list[Part]:
    asked = [
        (POSTGRESQL, postgresql, owners[0], True),
        (KAFKA, kafka, owners[1], manifest.kafka is not None),
        (SECRETS, secrets, None, manifest.secrets is not None),
    ]
    if not any(target for _, target, _, _ in asked):
        raise UsedWrongly(
            "Nothing is named to be restored.", "name folders by --postgresql, --kafka, --secrets."
        )
    for name, target, _, has in asked:
        if target and not has:
            raise UsedWrongly(f"The backup {manifest.name} has no {name}.")
    return [Part(name, target, owner) for name, target, owner, _ in asked if target]


def _until(said: str | None, manifest: Manifest, *, with_kafka: bool) -> Until | datetime:
    if said is None:
        return Until.BACKUP if with_kafka else Until.END
    try:
        return Until(said)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(said)
    except ValueError:
        raise UsedWrongly(
            f"--until {said}: neither backup nor end nor a time.", "as in 2026-12-01T09:30:00Z."
        ) from None
    if found.tzinfo is None:
        raise UsedWrongly(f"--until {said} has no zone.", "write a Z at its end for UTC.")
    if found < manifest.begun_at:
        raise UsedWrongly(f"The backup {manifest.name} was begun later.", "name an older one.")
    return found.astimezone(UTC)


def _say(manifest: Manifest, parts: list[Part], recovery: Recovery) -> None:
    until = recovery.until
    how_far = until.value if isinstance(until, Until) else until.isoformat()
    STDOUT.print(f"backup {manifest.name}, {manifest.size / 1e6:,.1f} MB", markup=False)
    for part in parts:
        there = part.there()
        said = f"{there:,} files there are replaced" if there else "empty"
        STDOUT.print(f"  {part.what}: {part.target} ({said})", markup=False, soft_wrap=True)
        if part.name == POSTGRESQL:
            STDOUT.print(f"    log is followed until: {how_far}", markup=False)
        if part.name == KAFKA and manifest.kafka:
            STDOUT.print(f"    as of {manifest.kafka.cut_at.isoformat()}", markup=False)
            if until is not Until.BACKUP:
                warn(
                    "the databases will know more than the topics: `lastmetre recover` sends the"
                    " events again; deliveries and ratings in between are not sent again."
                )


def _say_what_comes_next(*, kafka: bool, postgresql: bool) -> None:
    say("Restored. Now, in this order:")
    if postgresql:
        say("  start PostgreSQL, and wait until `SELECT pg_is_in_recovery()` is false")
    say("  start Kafka and the services")
    if kafka and not postgresql:
        say("  lastmetre recover --dry-run, then lastmetre recover")
    say("  lastmetre audit")
    say("  lastmetre backup make: the log goes another way from here")
