"""A copy of the topics as Kafka itself keeps them, taken while the broker is at work.

Segments only grow: noting the sizes of all of them within a moment is a cut through all topics, and
the files can be copied up to there afterwards. Effects are noted before their causes, so that
nothing in the copy lacks what led to it; the moment is shorter than anybody takes to answer a
message. What Kafka works out from its segments (indexes, high watermarks) is not copied: a broker
that starts on the copy checks every record, as after a loss of power.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from lastmetre.cli.backup.backup_folder import sync_folder
from lastmetre.cli.console import Trouble, UsedWrongly
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    REPORTS,
)

META: Final = "meta.properties"
METADATA: Final = "__cluster_metadata-0"
"""The partition in which KRaft keeps which topics there are."""
MOST_CUT: Final = timedelta(seconds=1)
TRIES: Final = 5
_EFFECTS_FIRST: Final = (
    NOTIFY_DELIVERIES, FIELD_OUTCOMES, CASE_EVENTS, FEEDBACK, FIELD_ACTIONS, NETWORK_AREAS, REPORTS,
)  # fmt: skip
_PARTITION: Final = re.compile(r"(?P<topic>.+)-\d+")
_LEAVING: Final = re.compile(r".*(-delete|-future|-stray)")
"""Folders of partitions that Kafka is about to remove, or moves."""
_OF_ALL: Final = (META, "bootstrap.checkpoint", "log-start-offset-checkpoint")
_OF_PARTITION: Final = re.compile(
    r"\d{20}\.log|\d{20}-\d{10}\.checkpoint|partition\.metadata|leader-epoch-checkpoint"
    r"|quorum-state"
)

Clock = Callable[[], datetime]


@dataclass(frozen=True)
class _Noted:
    """A file as it was at the cut."""

    path: Path
    size: int
    inode: int
    changed_ns: int


@dataclass(frozen=True)
class Cut:
    """How much of which files belongs to the copy: all that was acknowledged before `at`."""

    files: Sequence[_Noted]
    at: datetime


class _Changed(Exception):
    """Kafka has replaced or removed a file since the cut."""


def copy_topics(data: Path, target: Path, before: Path | None, prefix: str, now: Clock) -> datetime:
    """Copy the broker's folder `data` into `target`; returns when the cut was taken.

    A segment that has not changed since the copy `before` is that copy's file, by a hard link: its
    target is on the same disk. Raises Trouble, UsedWrongly.
    """
    for _ in range(TRIES):
        cut = take_cut(data, prefix, now)
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700)
        try:
            for noted in cut.files:
                _copy(noted, data, target, before)
        except (_Changed, FileNotFoundError):
            continue
        for each in {(target / noted.path).parent for noted in cut.files}:
            sync_folder(each)
        return cut.at
    raise Trouble(
        f"Kafka replaced files in {data} each of {TRIES} times that they were copied.",
        "try again when its cleaner and its retention have less to do.",
    )


def take_cut(data: Path, prefix: str, now: Clock) -> Cut:
    """Note the sizes of all files within a moment; again if that was not short enough."""
    if not (data / META).is_file():
        raise UsedWrongly(
            f"{data} is not the data folder of a Kafka broker: it has no {META}.",
            "name the folder of its log.dirs.",
        )
    for _ in range(TRIES):
        folders = _partitions(data, prefix)
        at = now()
        files = [noted for each in folders for noted in _noted(data, each, _OF_PARTITION.fullmatch)]
        if now() - at <= MOST_CUT:
            return Cut([*files, *_noted(data, data, lambda name: name in _OF_ALL)], at)
    raise Trouble(
        f"Looking at Kafka's files in {data} took more than {MOST_CUT.seconds} s each of"
        f" {TRIES} times.",
        "try again when this machine has less to do.",
    )


def _partitions(data: Path, prefix: str) -> list[Path]:
    """Effects before their causes: the channels, which begin everything, and the metadata last."""

    def rank(folder: Path) -> tuple[int, str]:
        topic = _PARTITION.fullmatch(folder.name)
        name = topic["topic"].removeprefix(prefix) if topic else ""
        if name in _EFFECTS_FIRST:
            return _EFFECTS_FIRST.index(name), folder.name
        if name.startswith("channels."):
            return len(_EFFECTS_FIRST), folder.name
        return (len(_EFFECTS_FIRST) + 1 if folder.name == METADATA else -1), folder.name

    found = [
        each
        for each in data.iterdir()
        if _PARTITION.fullmatch(each.name) and not _LEAVING.fullmatch(each.name) and each.is_dir()
    ]
    return sorted(found, key=rank)


def _noted(data: Path, folder: Path, wanted: Callable[[str], object]) -> Iterator[_Noted]:
    try:
        with os.scandir(folder) as entries:
            for each in entries:
                if wanted(each.name):
                    seen = each.stat()
                    path = Path(each.path).relative_to(data)
                    yield _Noted(path, seen.st_size, seen.st_ino, seen.st_mtime_ns)
    except FileNotFoundError:
        return  # a topic was deleted


def _copy(noted: _Noted, data: Path, target: Path, before: Path | None) -> None:
    copied = target / noted.path
    copied.parent.mkdir(mode=0o700, exist_ok=True)
    if before and _same(before / noted.path, noted):
        copied.hardlink_to(before / noted.path)
        return
    with (data / noted.path).open("rb") as source, copied.open("xb") as written:
        if os.fstat(source.fileno()).st_ino != noted.inode:
            raise _Changed(noted.path)
        left = noted.size
        while left:
            sent = os.sendfile(written.fileno(), source.fileno(), None, left)
            if not sent:
                raise _Changed(noted.path)
            left -= sent
        os.fsync(written.fileno())
    os.utime(copied, ns=(noted.changed_ns, noted.changed_ns))


def _same(file: Path, noted: _Noted) -> bool:
    try:
        seen = file.stat()
    except FileNotFoundError:
        return False
    return (seen.st_size, seen.st_mtime_ns) == (noted.size, noted.changed_ns)


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)
