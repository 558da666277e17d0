"""The checkpoint that the next audit goes on from, made of a cut whose books balance."""

from lastmetre.audit.checkpoint import Checkpoint, DatabaseState
from lastmetre.audit.consistent_cut import COUNTED_TOPICS, ConsistentCut
from lastmetre.audit.mark import FlowRecord, Mark
from lastmetre.audit.partition_view import PartitionView
from lastmetre.audit.since_checkpoint import (
    age_of,
    appended_before,
    earlier_files,
    rows_of_cases,
    schema_versions,
)
from lastmetre.audit.snapshot import Snapshot
from lastmetre.audit.tables import TABLES, KeptBy, Rows, Table
from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka.topic_reader import Place


class NoCheckpoint(Exception):
    """Why none can be made; the books may balance all the same."""


class RelayedEvents:
    """Goes through the partitions: of which cases there are events that are not below the mark."""

    def __init__(self, cut: ConsistentCut) -> None:
        self._mark = cut.mark
        self.of_cases: dict[str, int] = {}
        """How many of a case's events are below the mark, where some are not."""
        self.writer_epochs: list[int] = []

    def look(self, partition_view: PartitionView) -> None:
        """At one partition, each in turn."""
        self.writer_epochs.append(partition_view.writer_epoch)
        if self._mark is None:
            return
        start = self._mark.start((CASE_EVENTS, partition_view.partition))
        for case_id, ledger in partition_view.ledgers.items():
            below = sum(0 <= each.offset < start for each in ledger.events.values())
            if below < len(ledger.events):
                self.of_cases[case_id] = below


async def make_checkpoint(cut: ConsistentCut, relayed: RelayedEvents) -> Checkpoint:
    """Raises NoCheckpoint."""
    mark = cut.mark
    if mark is None:
        raise NoCheckpoint("a transaction has been open for too long in one of the databases")
    if cut.topic_ids.keys() != set(COUNTED_TOPICS):
        raise NoCheckpoint("the broker does not tell the ids of its topics")
    without_body = await cut.dispatch.rows("SELECT count(*) FROM ledger WHERE body IS NULL")
    if without_body[0][0]:
        raise NoCheckpoint(
            f"{without_body[0][0]:,} events have no body in dispatch's ledger"
            " (`lastmetre recover` fills them in)"
        )
    await _check_restored(cut)
    waiting = await cut.notify.rows("SELECT DISTINCT case_id::text FROM message_waiting")
    asked_again = await cut.notify.rows(
        "SELECT request_id::text FROM message_again WHERE result IS NULL"
    )
    new_cases = [case_id for case_id, events in relayed.of_cases.items() if events == 0]
    starts = {
        (topic, partition): mark.start((topic, partition))
        for topic in COUNTED_TOPICS
        for partition in range(PARTITIONS)
    }
    appended = await appended_before(cut, starts)
    return Checkpoint(
        taken_at=mark.taken_at,
        full_at=mark.taken_at if cut.since is None else cut.since.checkpoint.full_at,
        topic_prefix=cut.targets.prefix,
        topic_ids=cut.topic_ids,
        start={
            topic: [starts[topic, partition] for partition in range(PARTITIONS)]
            for topic in COUNTED_TOPICS
        },
        appended={
            topic: [appended.get((topic, partition)) for partition in range(PARTITIONS)]
            for topic in COUNTED_TOPICS
        },
        databases={
            each.service: await _state(cut, each, mark, new_cases) for each in cut.snapshots
        },
        writer_epochs=relayed.writer_epochs,
        relayed=relayed.of_cases,
        unrelayed=cut.unrelayed.left(),
        unacknowledged=cut.unrelayed.unacknowledged(),
        open_cases=sorted(row[0] for row in waiting),
        asked_again=sorted(row[0] for row in asked_again),
        message_files=earlier_files(cut, mark.taken_at.timestamp()),
    )


async def _check_restored(cut: ConsistentCut) -> None:
    """What is known from a service's own log alone is of records that stand before the mark."""
    adopted = await cut.notify.rows("SELECT count(*) FROM adopted_delivery")
    missing = await cut.intake.rows("SELECT count(*) FROM report WHERE contents_missing")
    if adopted[0][0] or missing[0][0]:
        raise NoCheckpoint("a restored database has not caught up yet")


async def _state(
    cut: ConsistentCut, snapshot: Snapshot, mark: Mark, new_cases: list[str]
) -> DatabaseState:
    at_mark = mark.databases[snapshot.service]
    identity = cut.identities.get(snapshot.service)
    if identity is None:
        raise NoCheckpoint(f"{snapshot.service}'s database is a standby")
    age = await age_of(snapshot, at_mark.limit)
    return DatabaseState(
        identity=identity,
        schema_versions=await schema_versions(snapshot),
        limit=at_mark.limit,
        rows={
            table.name: await _rows(snapshot, table, age, new_cases)
            for table in TABLES
            if table.service == snapshot.service
        },
        parked=sorted(at_mark.parked | _flat(snapshot.parked)),
        dead=sorted(at_mark.dead | _flat(snapshot.dead)),
    )


async def _rows(snapshot: Snapshot, table: Table, age: int, new_cases: list[str]) -> Rows:
    condition = "true" if table.kept_by is KeptBy.CASE else f"age(xmin) > {age}"
    found = await snapshot.rows(
        f"SELECT count(*), coalesce(bit_xor({table.digest}), 0) FROM {table.quoted}"  # noqa: S608
        f" WHERE {condition}"
    )
    total = Rows(*found[0])
    if table.kept_by is not KeptBy.CASE:
        return total
    return Rows(total.number - await rows_of_cases(snapshot, table, new_cases), 0)


def _flat(records: set[tuple[str, Place, int]]) -> set[FlowRecord]:
    return {(flow, topic, partition, offset) for flow, (topic, partition), offset in records}
