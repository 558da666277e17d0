"""Whether a backup is whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lastmetre.cli.backup.base_backup import check_base_backup
from lastmetre.cli.backup.checksums import differences, entries
from lastmetre.cli.backup.kafka_check import check_topics, cluster_id
from lastmetre.cli.backup.manifest import (
    KAFKA,
    POSTGRESQL,
    SECRETS,
    FileEntry,
    KafkaPart,
    Manifest,
    PostgresqlPart,
)
from lastmetre.cli.backup.sealing import HEADER
from lastmetre.cli.console import Trouble


@dataclass(frozen=True)
class Found:
    """What is in a backup, and what is wrong with it."""

    postgresql: PostgresqlPart
    kafka: KafkaPart | None
    wrong: list[str]


def examine(folder: Path, files: Mapping[str, FileEntry], cut_at: datetime | None) -> Found:
    """Look into every part of a backup; `files` are the checksums of all that is there.

    `cut_at` is when its topics were copied, None without any. Raises Trouble.
    """
    begin = f"{POSTGRESQL}/"
    base = {name.removeprefix(begin): e for name, e in files.items() if name.startswith(begin)}
    postgresql, wrong = check_base_backup(folder / POSTGRESQL, base)
    kafka: KafkaPart | None = None
    if cut_at:
        partitions, damaged = check_topics(folder / KAFKA)
        wrong += damaged
        try:
            cluster = cluster_id(folder / KAFKA)
        except (OSError, KeyError) as error:
            raise Trouble(f"{folder / KAFKA} is no copy of a broker's folder ({error}).") from None
        kafka = KafkaPart(cluster_id=cluster, cut_at=cut_at, partitions=partitions)
    if SECRETS in files:
        with (folder / SECRETS).open("rb") as sealed:
            if sealed.read(len(HEADER)) != HEADER:
                wrong.append(f"{SECRETS} is not sealed")
    return Found(postgresql, kafka, wrong)


def verify(folder: Path, manifest: Manifest) -> list[str]:
    """Read a complete backup again from its disk; returns what is wrong with it. Raises Trouble."""
    try:
        files = entries(folder)
    except OSError as error:
        return [f"{error.filename} cannot be read: {error.strerror}"]
    wrong = differences(manifest.files, files)
    if wrong:
        return wrong
    found = examine(folder, files, manifest.kafka.cut_at if manifest.kafka else None)
    same = (found.postgresql, found.kafka) == (manifest.postgresql, manifest.kafka)
    return found.wrong + ([] if same else ["the manifest says something else of it"])
