"""`case.events` into an archive, on from where the last export ended."""

from dataclasses import dataclass, field

from lastmetre.cli.console import Bar, Trouble
from lastmetre.cli.ledger.archive import PART_BYTES, Archive, ArchiveDamaged, Manifest
from lastmetre.cli.ledger.records import KeptRecord, RecordUnreadable, written
from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka.topic_reader import Offsets, Place, Topics

ELSEWHERE = "export to another place: this one stays what it is."


@dataclass(slots=True)
class Exported:
    """What an export has done. `written_again`: names of parts that were missing or damaged."""

    records: int = 0
    parts: int = 0
    records_in_archive: int = 0
    written_again: list[str] = field(default_factory=list)


async def export_ledger(
    topics: Topics,
    topic_id: str | None,
    archive: Archive,
    bar: Bar,
    part_bytes: int = PART_BYTES,
) -> Exported:
    """Write what the topic has and the archive has not, up to the topic's present ends.

    Raises Trouble where the topic is not the one that the archive is of.
    """
    manifest = await archive.manifest() or Manifest(topic_id=topic_id)
    if topic_id != manifest.topic_id:
        raise Trouble(
            f"{archive.location} is of another topic {CASE_EVENTS}: it was deleted and made anew"
            " since, or is another city's.",
            ELSEWHERE,
        )
    outcome = Exported(written_again=await _without_damaged_ends(archive, manifest))
    places = await topics.places([CASE_EVENTS])
    first, ends = await topics.beginnings(places), await topics.ends(places)
    start = {place: manifest.next_offset(place[1]) for place in places}
    _check_offsets(start, first, ends)
    bar.at(sum(start.values()), sum(ends.values()))
    for place in places:
        await _export_partition(
            _Partition(topics, archive, manifest, part_bytes), place, (start, ends), outcome, bar
        )
    outcome.records_in_archive = manifest.records
    return outcome


async def _without_damaged_ends(archive: Archive, manifest: Manifest) -> list[str]:
    """Forget the last part of a partition as long as it is not whole: a power cut may take what
    a disk said it had written."""
    forgotten: list[str] = []
    for partition in range(PARTITIONS):
        while parts := manifest.of(partition):
            try:
                await archive.records(parts[-1])
            except ArchiveDamaged:
                manifest.parts.remove(parts[-1])
                forgotten.append(parts[-1].name)
            else:
                break
    return forgotten


def _check_offsets(start: Offsets, first: Offsets, ends: Offsets) -> None:
    for place, offset in start.items():
        name = f"{place[0]}/{place[1]}"
        if first[place] > offset:
            raise Trouble(
                f"{name} begins at {first[place]}, it was exported up to {offset}: what is between"
                " them is gone.",
                "has the topic a retention? `lastmetre topics describe`."
                " `lastmetre recover --dry-run` says what dispatch still has.",
            )
        if ends[place] < offset:
            raise Trouble(
                f"{name} ends at {ends[place]}, it was exported up to {offset}: the topic has lost"
                " records.",
                "`lastmetre recover` sends again what dispatch has; " + ELSEWHERE,
            )


class _Partition:
    """Gathers the records of a part, and writes it when it is large enough."""

    def __init__(self, topics: Topics, archive: Archive, manifest: Manifest, limit: int) -> None:
        self.topics = topics
        self._archive = archive
        self._manifest = manifest
        self._limit = limit
        self._lines: list[bytes] = []
        self._bytes = 0

    def take(self, record: KeptRecord) -> bool:
        """Put a record into the part; whether the part is large enough."""
        line = written(record)
        self._lines.append(line)
        self._bytes += len(line)
        return self._bytes >= self._limit

    async def keep(self, partition: int, next_offset: int, outcome: Exported) -> None:
        """Write the part, then the manifest that names it."""
        if not self._lines:
            return
        first_offset = self._manifest.next_offset(partition)
        part = await self._archive.keep_part(partition, first_offset, next_offset, self._lines)
        self._manifest.parts.append(part)
        await self._archive.keep_manifest(self._manifest)
        outcome.parts += 1
        outcome.records += part.records
        self._lines, self._bytes = [], 0


async def _export_partition(
    partition: _Partition, place: Place, run: tuple[Offsets, Offsets], outcome: Exported, bar: Bar
) -> None:
    start, ends = run
    async for batch in partition.topics.batches([place], start, ends):
        for record in batch:
            try:
                kept = KeptRecord.of(record)
            except RecordUnreadable as error:
                raise Trouble(
                    f"{error}.", "only dispatch may write this topic: who did?"
                ) from error
            if partition.take(kept):
                await partition.keep(place[1], record.offset + 1, outcome)
        bar.advance(len(batch))
    await partition.keep(place[1], ends[place], outcome)
