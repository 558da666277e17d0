"""Where backups lie: one folder on another disk.

log/       PostgreSQL's log (WAL), written by its `archive_command`
begun/     a backup that is being made, or was not finished
complete/  a folder for each backup that was verified
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from lastmetre.cli.backup.manifest import Manifest, read_manifest
from lastmetre.cli.console import Trouble, UsedWrongly

_NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d{6}Z")


@dataclass(frozen=True)
class BackupFolder:
    """The folder of all backups."""

    root: Path

    @property
    def archive(self) -> Path:
        """PostgreSQL's log."""
        return self.root / "log"

    @property
    def begun(self) -> Path:
        """The backup that is being made."""
        return self.root / "begun"

    @property
    def complete(self) -> Path:
        """Those that were verified."""
        return self.root / "complete"

    def names(self) -> list[str]:
        """Of complete backups, the oldest first."""
        if not self.complete.is_dir():
            return []
        return sorted(each.name for each in self.complete.iterdir() if _NAME.fullmatch(each.name))

    def folder(self, name: str | None) -> Path:
        """Of the complete backup of that name, or of the youngest; raises UsedWrongly."""
        names = self.names()
        if name is not None and name not in names:
            raise UsedWrongly(
                f"There is no complete backup {name!r} in {self.root}.",
                "`lastmetre backup list` names them.",
            )
        if not names:
            raise Trouble(
                f"There is no complete backup in {self.root}.", "`lastmetre backup make` makes one."
            )
        return self.complete / (name or names[-1])

    def manifests(self) -> list[Manifest]:
        """Of all complete backups, the oldest first."""
        return [read_manifest(self.complete / name) for name in self.names()]

    def discard_begun(self) -> None:
        """Make room for a new backup: what was not finished is of no use."""
        if self.begun.exists():
            shutil.rmtree(self.begun)
        self.begun.mkdir(mode=0o700)

    def finish(self, name: str) -> Path:
        """Call what was begun complete, by that name."""
        self.complete.mkdir(mode=0o700, exist_ok=True)
        self.begun.rename(self.complete / name)
        for each in (self.complete, self.root):
            sync_folder(each)
        return self.complete / name

    def delete(self, names: Sequence[str], log: Sequence[Path]) -> None:
        """Delete these complete backups, and these files of the log."""
        for name in names:
            shutil.rmtree(self.complete / name)
        for each in log:
            each.unlink()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other commands from changing anything here meanwhile. Raises Trouble."""
        try:
            opened = (self.root / "lock").open("a")
        except OSError as error:
            raise Trouble(
                f"{self.root} cannot be written: {error.strerror}.",
                "it has to be there, on another disk, and ours to write.",
            ) from None
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Trouble(f"Another backup is being made or pruned in {self.root}.") from None
            yield


def name_of(begun_at: datetime) -> str:
    """What a backup that was begun then (UTC) is called."""
    return begun_at.strftime("%Y-%m-%dT%H%M%SZ")


def sync_folder(folder: Path) -> None:
    """Let the names in it survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
