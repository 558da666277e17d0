"""What an audit that goes on from a checkpoint takes for a partition's, and that nothing which
waited in an outbox is forgotten."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from lastmetre.audit.balance import Balance
from lastmetre.audit.checkpoint import Checkpoint, DatabaseState
from lastmetre.audit.consistent_cut import BY_CASE, SNAPSHOTS, ConsistentCut, Since, Targets
from lastmetre.audit.partition_view import PartitionView, by_partition, partition_views
from lastmetre.audit.snapshot import Snapshot
from lastmetre.audit.unrelayed import Unrelayed
from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.cases import CaseAccepted
from lastmetre.common.contracts.topics import CASE_EVENTS, FIELD_ACTIONS, PARTITIONS
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.topic_reader import Place, Topics

NOW = datetime(2026, 11, 30, 4, 15, tzinfo=UTC)
CASE = UUID("0190a000-0000-7000-8000-000000000001")
ITS_OWN = next(n for n, cases in enumerate(by_partition({str(CASE)})) if cases)
OTHERS = [n for n in range(PARTITIONS) if n != ITS_OWN]
EVENT = CaseAccepted(case_id=CASE, seq=1, actor=SYSTEM, occurred_at=NOW, recorded_at=NOW)


@dataclass
class Log:
    """Topics that hold these records."""

    held: Sequence[ConsumedRecord]

    async def records(
        self, places: Iterable[Place], start: Mapping[Place, int], until: Mapping[Place, int]
    ) -> AsyncIterator[ConsumedRecord]:
        for record in self.held:
            place = record.topic, record.partition
            if place in places and start[place] <= record.offset < until[place]:
                yield record


@dataclass
class Ledger(Snapshot):
    """A database of which nothing is asked but dispatch's ledger: one event of the case."""

    async def stream(self, sql: str, *arguments: Any) -> AsyncIterator[Any]:
        if str(CASE) in arguments[0]:
            yield str(CASE), 1, EVENT.TYPE, EVENT.model_dump_json().encode()


def record(topic: str, partition: int, offset: int, identity: str = "") -> ConsumedRecord:
    headers = [("ce_id", identity.encode())]
    return ConsumedRecord(topic, partition, offset, 0, str(CASE).encode(), b"not JSON", headers)


async def views_since(held: Sequence[ConsumedRecord], touched: set[str]) -> list[PartitionView]:
    """Of a checkpoint that had all of these records, which were dead letters."""
    places = [(topic, partition) for topic in BY_CASE for partition in range(PARTITIONS)]
    ends = dict.fromkeys(places, 5)
    databases = {each: Ledger(each, cast("Any", None)) for each in SNAPSHOTS}
    cut = ConsistentCut(
        topics=cast("Topics", Log(held)),
        targets=Targets("", "", {}, None),
        topic_ids={},
        identities={},
        mark=None,
        first=dict.fromkeys(places, 0),
        before=ends,
        after=ends,
        files_before=set(),
        files_after=set(),
        **cast("Any", databases),
    )
    cut.go_on_from(Since(_checkpoint(held), touched, set()))
    return [each async for each in partition_views(cut)]


def _checkpoint(dead: Sequence[ConsumedRecord]) -> Checkpoint:
    letters = [("requests", each.topic, each.partition, each.offset) for each in dead]
    state = DatabaseState(
        identity="1/2/3/4", schema_versions="core 1", limit=7, rows={}, parked=[], dead=letters
    )
    return Checkpoint(
        taken_at=NOW,
        full_at=NOW,
        topic_prefix="",
        topic_ids={},
        start={topic: [5] * PARTITIONS for topic in BY_CASE},
        appended={},
        writer_epochs=[0] * PARTITIONS,
        databases=dict.fromkeys(SNAPSHOTS, state),
        relayed={},
        unrelayed=[],
        unacknowledged=[],
        open_cases=[],
        asked_again=[],
        message_files=0,
    )


@pytest.mark.parametrize("touched", [set[str](), {str(CASE)}], ids=["", "touched"])
async def test_a_case_is_of_its_own_partition_whatever_the_keys_say(touched: set[str]) -> None:
    """A partner may write a record with the case's key into any partition, and it may be a dead
    letter there for ever."""
    views = await views_since([record(FIELD_ACTIONS, each, 0) for each in OTHERS], touched)
    assert [len(each.unreadable[FIELD_ACTIONS]) for each in views] == [
        each != ITS_OWN for each in range(PARTITIONS)
    ]
    assert {each.partition: each.case_ids for each in views if each.case_ids} == (
        {ITS_OWN: [str(CASE)]} if touched else {}
    )
    assert {each.partition for each in views if each.ledgers} == ({ITS_OWN} if touched else set())


async def test_a_dead_letter_brings_its_case_with_what_was_counted_of_it() -> None:
    views = await views_since([record(FIELD_ACTIONS, ITS_OWN, 0)], set())
    (found,) = [each for each in views if each.case_ids]
    assert (found.partition, found.case_ids) == (ITS_OWN, [str(CASE)])
    assert found.ledgers[str(CASE)].on_topic() == {1: EVENT}


WAITED = (CASE_EVENTS, ITS_OWN, "case:1")


def outbox_of(*identities: str) -> Unrelayed:
    dispatch = Snapshot("dispatch", cast("Any", None))
    for each in identities:
        dispatch.outbox[CASE_EVENTS, ITS_OWN].append(record(CASE_EVENTS, ITS_OWN, -1, each))
    return Unrelayed([dispatch])


@pytest.mark.parametrize(
    ("waits", "relayed", "left", "lost"),
    [
        (["case:1"], [], [WAITED], []),
        ([], ["case:1"], [], []),
        (["case:1"], ["case:1"], [], []),  # acknowledged late
        ([], [], [], ["case:1"]),
        (["case:2"], ["case:2"], [], ["case:1"]),
    ],
    ids=["waits", "told", "told and waits", "gone", "another was told"],
)
def test_what_waited_waits_or_is_told(
    waits: list[str], relayed: list[str], left: list[Any], lost: list[str]
) -> None:
    unrelayed = outbox_of(*waits)
    unrelayed.expect([WAITED], [])
    for identity in relayed:
        unrelayed.on_topic(record(CASE_EVENTS, ITS_OWN, 7, identity))
    unrelayed.on_topic(record(CASE_EVENTS, OTHERS[0], 7, "case:1"))
    balance = Balance()
    unrelayed.check(balance)
    assert unrelayed.left() == left
    assert {line.name: [each.id for each in line.differences] for line in balance} == (
        {"ledger_told": lost} if lost else {}
    )


def test_what_was_told_long_ago_is_not_looked_for() -> None:
    """A sender that ended before it heard of it finds it there when it begins again."""
    away = outbox_of("case:1")
    away.on_topic(record(CASE_EVENTS, ITS_OWN, 7, "case:1"))
    still_away = outbox_of("case:1")
    still_away.expect(away.left(), away.unacknowledged())
    assert (still_away.left(), still_away.unacknowledged()) == ([], [WAITED])
    back = outbox_of()
    back.expect(still_away.left(), still_away.unacknowledged())
    balance = Balance()
    back.check(balance)
    assert list(balance) == []
