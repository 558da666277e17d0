"""A consistent cut: the topics' ends, a snapshot of each database, and the ends again.

What a service has committed and relayed before its snapshot lies below the second ends, and what
lies below the first ends was committed before any snapshot. So the databases must hold everything
below the first ends, and everything they hold must lie below the second ends or in an outbox.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import asyncpg

from lastmetre.audit.checkpoint import Checkpoint
from lastmetre.audit.mark import Connections, Mark, take_mark
from lastmetre.audit.snapshot import Snapshot, open_connections, open_snapshots
from lastmetre.audit.unrelayed import Unrelayed
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
from lastmetre.common.kafka.access import KafkaAccess, access_of
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.ports import BrokerError
from lastmetre.common.kafka.topic_ids import TopicIds
from lastmetre.common.kafka.topic_reader import Place, Topics, open_topics
from lastmetre.common.postgres.identity import identify

BY_CASE: Final = (CASE_EVENTS, FIELD_ACTIONS, FIELD_OUTCOMES, FEEDBACK, NOTIFY_DELIVERIES)
SNAPSHOTS: Final = ("intake", "dispatch", "notify", "metrics")
COUNTED_TOPICS: Final = (*CHANNEL_TOPICS, REPORTS, *BY_CASE, NETWORK_AREAS)


@dataclass(frozen=True)
class Targets:
    """What is audited. `outbox` is the folder of message files, if there is one here."""

    kafka: KafkaAccess | str
    prefix: str
    databases: Mapping[str, str]
    outbox: Path | None


@dataclass
class Since:
    """What an audit looks at that goes on from a checkpoint: what was touched since."""

    checkpoint: Checkpoint
    cases: set[str]
    reports: set[str]


@dataclass
class ConsistentCut:
    """Everything that the lines count from."""

    topics: Topics
    targets: Targets
    topic_ids: dict[str, str]
    """Without those that the broker does not tell."""
    identities: Mapping[str, str]
    """Of each database, without standbys."""
    mark: Mark | None
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
    since: Since | None = None
    """None: everything is counted."""
    unrelayed: Unrelayed = field(init=False)

    def __post_init__(self) -> None:
        """Take from the outboxes what waits there."""
        self.unrelayed = Unrelayed(self.snapshots)

    def go_on_from(self, since: Since) -> None:
        """Count what came, or was touched, since a checkpoint."""
        self.since = since
        self.unrelayed.expect(since.checkpoint.unrelayed, since.checkpoint.unacknowledged)

    def counted_to(self, place: Place) -> int:
        """Up to which offset everything but what was open is in the checkpoint's books."""
        return self.since.checkpoint.starts[place] if self.since else 0

    def start(self, place: Place) -> int:
        """The first offset whose record is read and counted."""
        return max(self.first[place], self.counted_to(place))

    def was_counted(self, place: Place, offset: int) -> bool:
        """Whether that record was in the books that the checkpoint closed."""
        return self.since is not None and self.since.checkpoint.was_read(place, offset)

    def count_everything(self) -> None:
        """Let no row or record count as older than a checkpoint."""
        self.since = None
        for snapshot in self.snapshots:
            snapshot.recent = "true"

    @property
    def snapshots(self) -> tuple[Snapshot, ...]:
        """Of every service."""
        return self.intake, self.dispatch, self.notify, self.metrics

    def position(self, snapshot: Snapshot, place: Place) -> int:
        """The next offset that the service's reader of that topic wants."""
        return snapshot.position(READERS[snapshot.service][place[0]], place)

    async def records(self, places: Sequence[Place]) -> AsyncIterator[ConsumedRecord]:
        """What the topics hold there, in order. Of a dead letter that was replayed with a
        correction the correction counts; intake's are sealed, so there the topic's word stands.

        Since a checkpoint: what came after it, and before that what was open there.
        """
        corrected: dict[tuple[Place, int, int], ConsumedRecord] = {}
        for snapshot in (self.dispatch, self.notify, self.metrics):
            corrected |= snapshot.corrected
        async for record in self._records(places):
            self.unrelayed.on_topic(record)
            place = record.topic, record.partition
            yield corrected.get((place, record.offset, record.timestamp), record)

    async def _records(self, places: Sequence[Place]) -> AsyncIterator[ConsumedRecord]:
        for place, offset in sorted(self.since.checkpoint.open_records if self.since else ()):
            if place in places and self.first[place] <= offset < self.start(place):
                run = {place: offset}, {place: offset + 1}
                async for record in self.topics.records([place], *run):
                    yield record
        start = {place: self.start(place) for place in places}
        async for record in self.topics.records(places, start, self.after):
            yield record

    def was_trimmed(self, topic: str, key: str) -> bool:
        """Whether records of that key may be gone, because the topic keeps them for some time."""
        partition = partitions_of([key.encode()], PARTITIONS)[0]
        return self.first[topic, partition] > 0


@asynccontextmanager
async def open_cut(targets: Targets) -> AsyncIterator[ConsistentCut]:
    """Take a mark, then a cut; its transactions last until the end of the context."""
    async with (
        open_topics(targets.kafka, targets.prefix) as topics,
        open_connections(targets.databases) as connections,
    ):
        places = await topics.places(COUNTED_TOPICS)
        topic_ids = await _topic_ids(targets)
        identities = await _identities(connections)
        mark = await take_mark(topics, places, connections)
        files_before = message_files(targets.outbox)
        first = await topics.beginnings(places)
        before = await topics.ends(places)
        async with open_snapshots(connections) as snapshots:
            intake, dispatch, notify, metrics = (snapshots[each] for each in SNAPSHOTS)
            yield ConsistentCut(
                topics=topics,
                targets=targets,
                topic_ids=topic_ids,
                identities=identities,
                mark=mark,
                first=first,
                before=before,
                after=await topics.ends(places),
                intake=intake,
                dispatch=dispatch,
                notify=notify,
                metrics=metrics,
                files_before=files_before,
                files_after=message_files(targets.outbox),
            )


async def _topic_ids(targets: Targets) -> dict[str, str]:
    ids = TopicIds(access_of(targets.kafka), "lastmetre-audit")
    try:
        found = await ids.of([targets.prefix + topic for topic in COUNTED_TOPICS])
    except BrokerError:
        return {}
    finally:
        await ids.close()
    return {name.removeprefix(targets.prefix): str(topic_id) for name, topic_id in found.items()}


async def _identities(connections: Connections) -> dict[str, str]:
    found = {}
    for service, connection in connections.items():
        with suppress(asyncpg.ObjectNotInPrerequisiteStateError):  # a standby
            found[service] = "/".join(map(str, await identify(connection)))
    return found


def message_files(folder: Path | None) -> set[Path]:
    """Every finished message in the outbox folder."""
    if folder is None or not folder.is_dir():
        return set()
    return {path for path in folder.rglob("*.txt") if not path.name.startswith(".")}
