"""The base backup of PostgreSQL: made by pg_basebackup, checked by the server's own manifest."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from lastmetre.cli.backup.manifest import FileEntry, PostgresqlPart
from lastmetre.cli.console import Trouble, UsedWrongly

MANIFEST: Final = "backup_manifest"
LOG: Final = "pg_wal"
_CHECKSUM: Final = "SHA256"
_PAGE: Final = 8192
_PAGE_HEADER: Final = 16
"""Bytes of it that are read: magic and flags (2 each), timeline (4), the page's position (8)."""


class Position(NamedTuple):
    """A place in PostgreSQL's log, in bytes, on a timeline."""

    timeline: int
    lsn: int


def make_base_backup(url: str, target: Path, program: str) -> None:
    """Have pg_basebackup write all databases into `target`, with the log that they need.

    `url` is a superuser's. Raises Trouble, UsedWrongly.
    """
    parts = urlsplit(url)
    command = [
        program, "--pgdata", str(target), "--host", parts.hostname or "", "--no-password",
        "--port", str(parts.port or 5432), "--username", unquote(parts.username or ""),
        "--wal-method", "stream", "--checkpoint", "fast", "--manifest-checksums", _CHECKSUM,
    ]  # fmt: skip
    # Not in the command, which everybody on this machine may read.
    environment = {**os.environ, "PGPASSWORD": unquote(parts.password or "")}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UsedWrongly(
            f"{program} cannot be run: {error.strerror}.",
            "it comes with PostgreSQL and must not be older than the server: --pg-basebackup says"
            " where it is.",
        ) from None
    if done.returncode:
        raise Trouble(
            f"pg_basebackup ended with {done.returncode}.",
            "the superuser needs a line `replication` in pg_hba.conf, and the disk room.",
            done.stderr.strip()[-2000:],
        )


def check_base_backup(folder: Path, found: Mapping[str, FileEntry]) -> tuple[Any, list[str]]:
    """What it is (a PostgresqlPart), and what is wrong with it. `found` are its files' checksums.

    Every file is compared with what the server has sent, and the log has to be there from the
    first position that is needed to the last one. Raises Trouble where there is no manifest.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        version = (folder / "PG_VERSION").read_text("ascii").strip()
        [needed] = manifest["WAL-Ranges"]
    except (OSError, ValueError, KeyError) as error:
        raise Trouble(f"{folder} is no base backup with a manifest ({error}).") from None
    wrong = [
        f"{each['Path']} is not what the server has sent"
        for each in manifest["Files"]
        if each.get("Checksum-Algorithm") != _CHECKSUM
        or found.get(each["Path"]) != FileEntry(size=each["Size"], sha256=each["Checksum"])
    ]
    part = PostgresqlPart(
        version=version,
        system_identifier=manifest["System-Identifier"],
        timeline=needed["Timeline"],
        first_lsn=needed["Start-LSN"],
        last_lsn=needed["End-LSN"],
    )
    return part, wrong + _missing_log(folder / LOG, part)


def read_lsn(text: str) -> int:
    """A position in the log as PostgreSQL writes it, `1/2A3B`."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)


def segment_name(timeline: int, number: int, segment_size: int) -> str:
    """The file that holds this segment of the log."""
    in_one = 0x1_0000_0000 // segment_size
    return f"{timeline:08X}{number // in_one:08X}{number % in_one:08X}"


def _missing_log(folder: Path, part: PostgresqlPart) -> list[str]:
    """Pages of the log that are not there: each page begins with its own position."""
    segments = sorted(each for each in folder.glob("0*") if len(each.name) == 24)
    if not segments:
        return ["the log is missing"]
    size = segments[0].stat().st_size
    first, last = read_lsn(part.first_lsn), read_lsn(part.last_lsn)
    wrong = []
    for number in range(first // size, (last - 1) // size + 1):
        name = segment_name(part.timeline, number, size)
        begin = number * size
        pages = range(max(first, begin) // _PAGE * _PAGE, min(last, begin + size), _PAGE)
        if not _has_pages(folder / name, begin, pages):
            wrong.append(f"{LOG}/{name} does not hold the log from {part.first_lsn}")
    return wrong


def _has_pages(file: Path, begin: int, pages: range) -> bool:
    if not file.is_file():
        return False
    with file.open("rb") as opened:
        for page in pages:
            opened.seek(page - begin)
            header = opened.read(_PAGE_HEADER)
            if int.from_bytes(header[8:], sys.byteorder) != page:
                return False
    return True
