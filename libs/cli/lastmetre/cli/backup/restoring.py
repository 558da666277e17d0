"""Bringing a backup back: what is to be replaced, and doing it."""

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final

import pyrage

from lastmetre.cli.backup.checksums import files_below
from lastmetre.cli.backup.manifest import KAFKA, POSTGRESQL, SECRETS, Manifest
from lastmetre.cli.backup.sealing import open_sealed
from lastmetre.cli.console import Trouble

_SETTINGS: Final = "postgresql.auto.conf"
_OURS: Final = re.compile(r"\s*(restore_command|recovery_target\w*)\b")
_COMES_LAST: Final = "PG_VERSION"
"""PostgreSQL starts on no folder without it: so on none that is not whole."""


class Until(Enum):
    """How far PostgreSQL's log is followed, where it is no time."""

    BACKUP = "backup"
    END = "end"


@dataclass(frozen=True)
class Recovery:
    """How PostgreSQL comes back. `archive` is where it finds the log, as it sees that folder."""

    until: Until | datetime
    archive: str

    def settings(self) -> list[str]:
        """Lines of its configuration."""
        lines = [f'restore_command = \'cp "{_quoted(self.archive)}/%f" "%p"\'']
        if isinstance(self.until, datetime):
            lines.append(f"recovery_target_time = '{self.until.isoformat()}'")
        elif self.until is Until.BACKUP:
            # A later restore may have begun a timeline that has left out this backup.
            lines += ["recovery_target = 'immediate'", "recovery_target_timeline = 'current'"]
        return [*lines, "recovery_target_action = 'promote'"]


def _quoted(text: str) -> str:
    return text.replace("'", "''").replace("%", "%%")


@dataclass(frozen=True)
class Part:
    """A part of the backup and the folder that becomes it. `owner`: of its files, where root is
    who restores; None: who owns the folder, or the one above it that is there."""

    name: str
    target: Path
    owner: int | None = None

    @property
    def what(self) -> str:
        """For people."""
        return {
            POSTGRESQL: "the databases", KAFKA: "the topics", SECRETS: "keys and passwords",
        }[self.name]  # fmt: skip

    def there(self) -> int:
        """How many files would be replaced."""
        return sum(1 for _ in files_below(self.target)) if self.target.is_dir() else 0


def check_stopped(part: Part) -> None:
    """Raises Trouble where a server works in the target, or may do so."""
    if part.name == POSTGRESQL and (part.target / "postmaster.pid").exists():
        raise Trouble(
            f"PostgreSQL runs in {part.target}, or has crashed there: there is a postmaster.pid.",
            "stop it; after a crash remove that file.",
        )
    lock = part.target / ".lock"
    if part.name == KAFKA and lock.exists():
        with lock.open("r+b") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                raise Trouble(f"Kafka runs in {part.target}.", "stop it.") from None


def restore(
    backup: Path,
    manifest: Manifest,
    parts: Sequence[Part],
    recovery: Recovery,
    identity: pyrage.x25519.Identity | None,
) -> None:
    """Replace what is in the targets. Raises Trouble; what was begun then is not whole."""
    for part in parts:
        owner = _owner(part)
        part.target.mkdir(parents=True, exist_ok=True)
        for each in part.target.iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()
        if part.name == SECRETS:
            assert identity is not None
            open_sealed(backup / SECRETS, identity, part.target)
            continue
        part.target.chmod(0o700)
        _copy_files(backup / part.name, part.target, _names(manifest, part.name))
        if part.name == POSTGRESQL:
            for folder in _folders(backup / POSTGRESQL):
                (part.target / folder).mkdir(mode=0o700, exist_ok=True)
            _say_how_to_recover(part.target, recovery)
        _give(part.target, owner)


def _names(manifest: Manifest, part: str) -> list[str]:
    begin = f"{part}/"
    names = [each.removeprefix(begin) for each in manifest.files if each.startswith(begin)]
    return sorted(names, key=lambda name: (name == _COMES_LAST, name))


def _copy_files(source: Path, target: Path, names: Sequence[str]) -> None:
    for name in names:
        copied = target / name
        copied.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(source / name, copied)
        copied.chmod(0o600)
        with copied.open("rb") as written:
            os.fsync(written.fileno())


def _folders(source: Path) -> Iterator[Path]:
    """Those of a base backup, the empty ones too, which PostgreSQL wants to find."""
    for each in sorted(source.rglob("*")):
        if each.is_dir():
            yield each.relative_to(source)


def _say_how_to_recover(data: Path, recovery: Recovery) -> None:
    """A new timeline begins where it ends: log of the lost one is never taken for its own."""
    file = data / _SETTINGS
    before = file.read_text("utf-8").splitlines() if file.exists() else []
    kept = [line for line in before if not _OURS.match(line)]
    file.write_text("\n".join([*kept, *recovery.settings(), ""]), "utf-8")
    file.chmod(0o600)
    (data / "recovery.signal").touch(mode=0o600)


def _owner(part: Part) -> tuple[int, int] | None:
    if os.geteuid() != 0:
        return None
    if part.owner is not None:
        return part.owner, part.owner
    there = next(each for each in (part.target, *part.target.parents) if each.exists())
    found = there.stat()
    return found.st_uid, found.st_gid


def _give(folder: Path, owner: tuple[int, int] | None) -> None:
    if owner is None:
        return
    for each in (folder, *folder.rglob("*")):
        os.chown(each, *owner)
