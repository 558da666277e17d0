"""Check `disks`: the folders that can be seen from here."""

import shutil
from pathlib import Path
from typing import Final

from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.profile import Installation

WARN_SHARE: Final = 0.15
WRONG_SHARE: Final = 0.05
_GIGABYTE: Final = 1_000_000_000


async def look_at_disks(installation: Installation, said: Findings) -> None:
    """Of a development stack, of messages that would be SMS, and where we are."""
    folders = {"here": Path.cwd()}
    if (home := installation.stack_home) and home.exists():
        folders["LASTMETRE_HOME"] = home
    for name in ("NOTIFY_OUTBOX_DIRECTORY", "BACKUPS"):
        if told := installation.find(name):
            folders[name] = Path(told)
    for name, folder in folders.items():
        _look(name, folder, said)


def _look(name: str, folder: Path, said: Findings) -> None:
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        said.wrong(
            "folder-away",
            f"{name} ({folder})",
            f"{error.strerror}",
            "nothing can be written there",
            "make it, or correct the path",
        )
        return
    say_disk(f"{name} ({folder})", usage.free, usage.total, said)


def say_disk(subject: str, free: int, total: int, said: Findings) -> None:
    """Judge a disk with so many bytes free of so many."""
    words = f"{free / _GIGABYTE:,.1f} of {total / _GIGABYTE:,.1f} GB free"
    if free < total * WRONG_SHARE:
        said.wrong("disk-full", subject, words, "soon nothing can be written", _WAY_OUT)
    elif free < total * WARN_SHARE:
        said.warn(
            "disk-filling",
            subject,
            words,
            "it fills; Kafka and PostgreSQL stop when it is full",
            _WAY_OUT,
        )
    else:
        said.fine(subject, words)


_WAY_OUT: Final = (
    "a larger disk, or away with what is not ours; never delete files of Kafka's by hand"
)
