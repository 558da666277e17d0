"""Making a backup: begun before the base backup, finished and verified after it."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from lastmetre.cli.backup.backup_folder import BackupFolder, name_of
from lastmetre.cli.backup.checksums import entries
from lastmetre.cli.backup.kafka_copy import Clock, copy_topics
from lastmetre.cli.backup.manifest import (
    FILE,
    KAFKA,
    POSTGRESQL,
    SECRETS,
    Manifest,
    ReadPosition,
    SecretsPart,
)
from lastmetre.cli.backup.sealing import seal
from lastmetre.cli.backup.verifying import examine
from lastmetre.cli.console import Trouble

BEGUN: Final = "begun.json"


@dataclass(frozen=True)
class Sources:
    """What is backed up beside the databases; None is left out."""

    kafka_data: Path | None
    secrets: Path | None
    recipient: str
    topic_prefix: str


class Begun(BaseModel):
    """What has to be known of the time before the base backup."""

    model_config = ConfigDict(frozen=True)

    begun_at: datetime
    read_positions: list[ReadPosition]


def begin(folder: BackupFolder, read_positions: Sequence[ReadPosition], begun_at: datetime) -> Path:
    """Discard what was not finished; returns where the base backup belongs.

    `read_positions` were read before: every record below them has had its effect in the databases
    that are backed up now.
    """
    folder.discard_begun()
    begun = Begun(begun_at=begun_at, read_positions=list(read_positions))
    (folder.root / BEGUN).write_text(begun.model_dump_json(), "utf-8")
    return folder.begun / POSTGRESQL


def finish(folder: BackupFolder, sources: Sources, now: Clock) -> Manifest:
    """Add topics and secrets to the base backup, verify all of it, and call it complete.

    Topics are copied after the databases: what these know, the copy has. Raises Trouble.
    """
    here = folder.begun
    try:
        begun = Begun.model_validate_json((folder.root / BEGUN).read_bytes())
    except (OSError, ValidationError):
        raise Trouble(
            f"No backup was begun in {folder.root}.", "`lastmetre backup begin` comes before."
        ) from None
    cut_at: datetime | None = None
    if sources.kafka_data:
        names = folder.names()
        before = folder.complete / names[-1] / KAFKA if names else None
        cut_at = copy_topics(sources.kafka_data, here / KAFKA, before, sources.topic_prefix, now)
    secrets: SecretsPart | None = None
    if sources.secrets:
        sealed = seal(sources.secrets, sources.recipient, here / SECRETS)
        secrets = SecretsPart(recipient=sources.recipient, names=sealed)
    files = entries(here)
    found = examine(here, files, cut_at)
    if found.wrong:
        raise Trouble(
            "The backup is not what it should be, and is not called complete.",
            "look at the disks, then make another.",
            "\n".join(found.wrong[:20]),
        )
    manifest = Manifest(
        name=name_of(begun.begun_at),
        begun_at=begun.begun_at,
        verified_at=now(),
        lastmetre=version("lastmetre-cli"),
        postgresql=found.postgresql,
        kafka=found.kafka,
        secrets=secrets,
        read_positions=begun.read_positions,
        files=files,
    )
    with (here / FILE).open("x", encoding="utf-8") as file:
        file.write(manifest.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    folder.finish(manifest.name)
    (folder.root / BEGUN).unlink()
    return manifest
