"""Which backups may go, and with them PostgreSQL's log from before the oldest that stays."""

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from lastmetre.cli.backup.backup_folder import BackupFolder
from lastmetre.cli.backup.base_backup import LOG, read_lsn, segment_name
from lastmetre.cli.backup.manifest import POSTGRESQL, Manifest

_SEGMENT: Final = re.compile(r"[0-9A-F]{24}(\.partial|\.[0-9A-F]{8}\.backup)?")
_TIMELINE_DIGITS: Final = 8


def too_old(
    manifests: Sequence[Manifest], now: datetime, keep: timedelta, at_least: int
) -> list[Manifest]:
    """Those begun longer ago than `keep`, but never the youngest `at_least`; oldest first."""
    may_go = manifests[: max(len(manifests) - at_least, 0)]
    return [each for each in may_go if now - each.begun_at > keep]


def log_before(folder: BackupFolder, oldest: Manifest) -> list[Path]:
    """The archived log that no backup from `oldest` on needs.

    Timelines are left out of the comparison, as pg_archivecleanup does; their history files stay.
    """
    segments = (folder.complete / oldest.name / POSTGRESQL / LOG).glob("0*")
    sizes = {each.stat().st_size for each in segments if len(each.name) == 24}
    if len(sizes) != 1 or not folder.archive.is_dir():
        return []
    [size] = sizes
    number = read_lsn(oldest.postgresql.first_lsn) // size
    needed = segment_name(oldest.postgresql.timeline, number, size)[_TIMELINE_DIGITS:]
    return sorted(
        each
        for each in folder.archive.iterdir()
        if _SEGMENT.fullmatch(each.name) and each.name[_TIMELINE_DIGITS : len("0" * 24)] < needed
    )
