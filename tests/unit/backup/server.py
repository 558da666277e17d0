"""What a server has on its disks, small: a base backup as pg_basebackup writes it, a broker's
folder, secrets."""

import hashlib
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from aiokafka.record.default_records import DefaultRecordBatchBuilder

from lastmetre.cli.backup.backup_folder import BackupFolder
from lastmetre.cli.backup.making import Sources, begin, finish
from lastmetre.cli.backup.manifest import Manifest, ReadPosition
from lastmetre.cli.backup.sealing import new_identity

BEGUN_AT: Final = datetime(2026, 11, 30, 2, tzinfo=UTC)
PAGE: Final = 8192
SEGMENT: Final = 8 * PAGE
"""Of PostgreSQL's log; a real one has 16 MB."""
POSITION: Final = ReadPosition(topic="channels.app", partition=3, next_offset=7, topic_id=None)


def batch(first: int, *values: str) -> bytes:
    """Records as they lie in a segment of Kafka's, each with an offset, from `first` on."""
    made = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000_000)
    for number, value in enumerate(values):
        made.append(number, 1_764_000_000_000, b"key", value.encode(), [])
    # A broker gives the offset; no checksum covers it.
    return first.to_bytes(8, "big") + bytes(made.build())[8:]


def log_segment(number: int) -> bytes:
    """A segment of PostgreSQL's log, of which only the pages' headers matter here."""
    pages = (
        bytes(8) + (number * SEGMENT + page * PAGE).to_bytes(8, sys.byteorder)
        for page in range(SEGMENT // PAGE)
    )
    return b"".join(each.ljust(PAGE, b"\0") for each in pages)


def write_base_backup(folder: Path) -> None:
    """With the log from within segment 1 to within segment 2."""
    content = {"PG_VERSION": b"18\n", "base/5/1259": b"rows", "global/pg_control": b"control"}
    for name, text in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    for empty in ("pg_notify", "pg_replslot"):
        (folder / empty).mkdir()
    (folder / "postgresql.auto.conf").write_text(
        "shared_buffers = 1GB\nrecovery_target = 'immediate'\n", "utf-8"
    )
    log = folder / "pg_wal"
    log.mkdir()
    for number in (1, 2):
        (log / f"00000001{0:08X}{number:08X}").write_bytes(log_segment(number))
    files = [
        {
            "Path": name,
            "Size": len(text),
            "Checksum-Algorithm": "SHA256",
            "Checksum": hashlib.sha256(text).hexdigest(),
        }
        for name, text in content.items()
    ]
    changed = (folder / "postgresql.auto.conf").read_bytes()
    files.append(
        {
            "Path": "postgresql.auto.conf",
            "Size": len(changed),
            "Checksum-Algorithm": "SHA256",
            "Checksum": hashlib.sha256(changed).hexdigest(),
        }
    )
    needed = {"Timeline": 1, "Start-LSN": "0/10028", "End-LSN": "0/24100"}
    document = {"System-Identifier": 7, "Files": files, "WAL-Ranges": [needed]}
    (folder / "backup_manifest").write_text(json.dumps(document), "utf-8")


class Server:
    """Whose backups lie in `folder`."""

    def __init__(self, root: Path) -> None:
        self.kafka = root / "kafka"
        self.secrets = root / "secrets"
        (self.secrets / "keys-intake").mkdir(parents=True)
        (self.secrets / "keys-intake" / "vault_key").write_text("secret", "utf-8")
        self.write("meta.properties", b"#\ncluster.id=abc\nnode.id=1\n")
        self.write("recovery-point-offset-checkpoint", b"0\n")
        self.write(".lock", b"")
        self.write("__cluster_metadata-0/00000000000000000000.log", batch(0, "topics"))
        self.write("case.events-0/00000000000000000000.log", batch(0, "a", "b"))
        self.write("case.events-0/00000000000000000002.log", batch(2, "c"))
        self.write("case.events-0/00000000000000000002.index", b"index")
        self.write("case.events-0/partition.metadata", b"version: 0\ntopic_id: x\n")
        self.write("channels.app-3/00000000000000000005.log", batch(5, "d") + batch(6, "e"))
        self.folder = BackupFolder(root / "backups")
        self.folder.archive.mkdir(parents=True)
        self.key, self.recipient = new_identity()
        self.identity = root / "identity"
        self.identity.write_text(f"# made for a test\n{self.key}\n", "utf-8")

    def write(self, name: str, content: bytes) -> Path:
        """A file of the broker's."""
        path = self.kafka / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    @staticmethod
    def begun_at(day: int) -> datetime:
        """Long ago: of a day in January 2020."""
        return datetime(2020, 1, day, 2, tzinfo=UTC)

    def begin(self, begun_at: datetime = BEGUN_AT) -> Path:
        """With a base backup; returns its folder."""
        target = begin(self.folder, [POSITION], begun_at)
        write_base_backup(target)
        return target

    def finish(self) -> Manifest:
        """Ten minutes after the beginning."""
        sources = Sources(self.kafka, self.secrets, self.recipient, "")
        return finish(self.folder, sources, lambda: BEGUN_AT + timedelta(minutes=10))

    def backup(self, begun_at: datetime = BEGUN_AT) -> Manifest:
        """A complete one."""
        self.begin(begun_at)
        return self.finish()
