"""A consistent cut: the topics' ends, a snapshot of each database, and the ends again.

What a service has committed and relayed before its snapshot lies below the second ends, and what
lies below the first ends was committed before any snapshot. So the databases must hold everything
below the first ends, and everything they hold must lie below the second ends or in an outbox.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lastmetre.audit.snapshot import Snapshot, open_snapshots
from lastmetre.common.contracts.readers import CHANNEL_TOPICS, READERS
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    PARTITIONS,
    REPORTS,
)
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.topic_reader import Place, Topics, open_topics

BY_CASE: Final = (CASE_EVENTS, FIELD_ACTIONS, FIELD_OUTCOMES, FEEDBACK, NOTIFY_DELIVERIES)
COUNTED_TOPICS: Final = (*CHANNEL_TOPICS, REPORTS, *BY_CASE, NETWORK_AREAS)


@dataclass(frozen=True)
class Targets:
    """What is audited. `outbox` is the folder of message files, if there is one here."""

    kafka: KafkaAccess | str
    prefix: str
    databases: Mapping[str, str]
    outbox: Path | None


@dataclass
class ConsistentCut:
    """Everything that the lines count from."""

    topics: Topics
    first: dict[Place, int]
    """The offset of each partition's first record that is kept."""
    before: dict[Place, int]
    after: dict[Place, int]
    intake: Snapshot
    dispatch: Snapshot
    notify: Snapshot
    metrics: Snapshot
    files_before: set[Path]
    files_after: set[Path]

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Of every service."""
        return self.intake, self.dispatch, self.notify, self.metrics

    def position(self, snapshot: Snapshot, place: Place) -> int:
        """The next offset that the service's reader of that topic wants."""
        return snapshot.position(READERS[snapshot.service][place[0]], place)

    async def records(self, places: Iterable[Place]) -> AsyncIterator[ConsumedRecord]:
        """What the topics hold there, in order. Of a dead letter that was replayed with a
        correction the correction counts; intake's are sealed, so there the topic's word stands."""
        corrected: dict[tuple[Place, int, int], ConsumedRecord] = {}
        for snapshot in (self.dispatch, self.notify, self.metrics):
            corrected |= snapshot.corrected
        async for record in self.topics.records(places, self.first, self.after):
            place = record.topic, record.partition
            yield corrected.get((place, record.offset, record.timestamp), record)

    def was_trimmed(self, topic: str, key: str) -> bool:
        """Whether records of that key may be gone, because the topic keeps them for some time."""
        partition = partitions_of([key.encode()], PARTITIONS)[0]
        return self.first[topic, partition] > 0


@asynccontextmanager
async def open_cut(targets: Targets) -> AsyncIterator[ConsistentCut]:
    """Take a cut; its transactions last until the end of the context."""
    async with open_topics(targets.kafka, targets.prefix) as topics:
        places = await topics.places(COUNTED_TOPICS)
        files_before = message_files(targets.outbox)
        first = await topics.beginnings(places)
        before = await topics.ends(places)
        async with open_snapshots(targets.databases) as snapshots:
            yield ConsistentCut(
                topics=topics,
                first=first,
                before=before,
                after=await topics.ends(places),
                **snapshots,
                files_before=files_before,
                files_after=message_files(targets.outbox),
            )


def message_files(folder: Path | None) -> set[Path]:
    """Every finished message in the outbox folder."""
    if folder is None or not folder.is_dir():
        return set()
    return {path for path in folder.rglob("*.txt") if not path.name.startswith(".")}
