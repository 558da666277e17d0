"""Whether an archive is whole: its files, each case's events in it, and what the topic says."""

from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from lastmetre.cli.console import Bar
from lastmetre.cli.ledger.archive import Archive
from lastmetre.cli.ledger.importing import manifest_of
from lastmetre.cli.ledger.records import KeptRecord
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.topic_reader import Topics
from lastmetre.common.kafka.writer_epochs import WriterEpochs


@dataclass(slots=True)
class Verified:
    """What was found. `differences` names each thing that is wrong."""

    records: int = 0
    cases: int = 0
    on_topic: int | None = None
    """Records of the topic up to where it was exported; None if it was not asked."""
    differences: list[str] = field(default_factory=list)


async def verify_ledger(archive: Archive, topics: Topics | None, bar: Bar) -> Verified:
    """Read all of the archive, and with `topics` the topic beside it.

    Offsets and append times are the broker's and may be others, as after an import. Raises
    ArchiveDamaged for a file that is not what was written.
    """
    manifest = await manifest_of(archive)
    found = Verified(on_topic=None if topics is None else 0)
    bar.at(0, manifest.records)
    last: dict[str, int] = defaultdict(int)
    epochs = WriterEpochs()
    there = _OnTopic(topics, found)
    async for part, records in archive.parts(manifest):
        for record in records:
            if epochs.in_force([record.consumed(part.partition)]):
                _follow(record, part.partition, last, found)
            await there.compare(record, part.partition)
        found.records += len(records)
        bar.advance(len(records))
    found.cases = len(last)
    return found


def _follow(record: KeptRecord, partition: int, last: dict[str, int], found: Verified) -> None:
    """Each case's events have to be 1, 2, 3 …; one that was told before may be told again."""
    case_id, _, number = record.event_id.rpartition(":")
    if not case_id or not number.isdecimal():
        found.differences.append(f"{CASE_EVENTS}/{partition}/{record.offset} names no event")
        return
    seq = int(number)
    if seq > last[case_id] + 1:
        found.differences.append(
            f"{case_id}:{seq} follows {last[case_id]}: what is between them is missing"
        )
    last[case_id] = max(last[case_id], seq)


class _OnTopic:
    """Reads the topic beside the archive. Of each partition it names the first record that is not
    the same; more may follow there."""

    def __init__(self, topics: Topics | None, found: Verified) -> None:
        self._topics = topics
        self._found = found
        self._records: dict[int, AsyncIterator[ConsumedRecord]] = {}
        self._given_up: set[int] = set()

    async def compare(self, kept: KeptRecord, partition: int) -> None:
        """Hold the partition's next record against this one."""
        if self._topics is None or partition in self._given_up:
            return
        if partition not in self._records:
            place = CASE_EVENTS, partition
            first, ends = await self._topics.beginnings([place]), await self._topics.ends([place])
            self._records[partition] = self._topics.records([place], first, ends)
        theirs = await anext(self._records[partition], None)
        if theirs is not None and KeptRecord.of(theirs).sent == kept.sent:
            self._found.on_topic = (self._found.on_topic or 0) + 1
            return
        what = "is not on the topic" if theirs is None else "is another one on the topic"
        self._found.differences.append(f"{CASE_EVENTS}/{partition}/{kept.offset} {what}")
        self._given_up.add(partition)
