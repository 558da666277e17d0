"""Whether a copy of topics is whole: every batch by the checksum that its producer gave it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from aiokafka.record.default_records import DefaultRecordBatch

from lastmetre.cli.backup.kafka_copy import META
from lastmetre.cli.backup.manifest import Kept

_HEADER: Final = 12
"""Bytes before what a batch's length counts: its first offset (8), its length (4)."""
_LEAST: Final = 61
"""Bytes of a batch without records."""


class Batch(Protocol):
    """What is asked of a batch of records."""

    @property
    def base_offset(self) -> int:
        """Of its first record."""

    @property
    def next_offset(self) -> int:
        """The one after its last record."""

    def validate_crc(self) -> bool:
        """Whether it is as its producer has made it."""


def cluster_id(folder: Path) -> str:
    """Of the cluster that this broker's folder belongs to; raises OSError, KeyError."""
    lines = (folder / META).read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["cluster.id"]


def check_topics(folder: Path) -> tuple[dict[str, Kept], list[str]]:
    """Which offsets are there of each partition, and what is wrong."""
    kept: dict[str, Kept] = {}
    wrong: list[str] = []
    for partition in sorted(each for each in folder.iterdir() if each.is_dir()):
        segments = sorted(partition.glob("*.log"))
        if not segments:
            wrong.append(f"{partition.name} has no segment")
            continue
        first = after = int(segments[0].stem)
        for segment in segments:
            if int(segment.stem) < after:
                wrong.append(f"{partition.name}/{segment.name} begins before the last one's end")
            problem, after = _read_on(segment, int(segment.stem), last=segment == segments[-1])
            wrong += [f"{partition.name}/{segment.name}: {problem}"] if problem else []
        kept[partition.name] = Kept(first, after)
    return kept, wrong


def _read_on(segment: Path, after: int, *, last: bool) -> tuple[str, int]:
    """What is wrong with a segment, and the offset after its last record."""
    for batch in batches(segment):
        if batch is None:
            # What was being written at the cut, which nobody was told is there.
            return ("" if last else "ends within a batch"), after
        if not batch.validate_crc():
            return f"the batch at offset {batch.base_offset} is damaged", after
        if batch.base_offset < after:
            return f"offset {batch.base_offset} comes after {after - 1}", after
        after = batch.next_offset
    return "", after


def batches(segment: Path) -> Iterator[Batch | None]:
    """The batches of a segment, in order; None at its end if that is not a whole one."""
    with segment.open("rb") as file:
        while header := file.read(_HEADER):
            length = int.from_bytes(header[8:], "big", signed=True)
            body = file.read(max(length, 0))
            if len(header) < _HEADER or len(body) < length or length < _LEAST - _HEADER:
                yield None
                return
            yield DefaultRecordBatch(header + body)
