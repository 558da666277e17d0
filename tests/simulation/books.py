"""The books of a run: what must have become of everything that was accepted."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from lastmetre.common.contracts.cases import CaseAccepted
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.writer_epochs import WriterEpochs
from tests.simulation.broker import Broker
from tests.simulation.service import CHANNEL
from tests.simulation.store import Connection, Store
from tests.simulation.world import World


@dataclass
class Accepted:
    """What the partner was told to be taken."""

    good: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    flooded: set[str] = field(default_factory=set)
    may_be_lost: set[str] = field(default_factory=set)
    """What was in a topic that was deleted before it was read."""


class IdsSeen:
    """Which id each report was given, over all lives of the database."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._seen: dict[Any, UUID] = {}

    def look(self, connection: Connection) -> None:
        """Called with each commit."""
        for identity, report_id in connection.writes.get("report", {}).items():
            if self._seen.setdefault(identity, report_id) != report_id:
                self._world.complain(f"{identity} was given another id")


def unfinished(broker: Broker, dispatch: Store, notify: Store) -> str | None:
    """What is still under way; None once all is quiet."""
    for store, topic in ((dispatch, CHANNEL), (notify, CASE_EVENTS)):
        if store.table("outbox"):
            return f"{store.name}: {len(store.table('outbox'))} rows in the outbox"
        for partition, log in broker.logs.items():
            if partition.topic != topic or not log.records:
                continue
            stored = store.table("position").get(("consumer", partition))
            # A position in the topic of that name before this one says nothing of this one.
            if stored and stored.topic_id not in (None, broker.topic_ids[topic]):
                stored = None
            if stored is None or stored.next_offset <= log.records[-1].offset:
                return f"{store.name}: {partition} stands at {stored}, ends at {log.end}"
    if notify.table("parked"):
        return "notify: events are parked"
    return None


def wrong(broker: Broker, dispatch: Store, notify: Store, accepted: Accepted) -> list[str]:
    """Everything that does not balance."""
    found: list[str] = []
    reports = dispatch.table("report")
    lost = accepted.good - set(reports) - accepted.may_be_lost
    if lost:
        found.append(f"lost: {sorted(lost)[:5]} and {len(lost)} in all")
    if extra := set(reports) - accepted.good:
        found.append(f"never accepted: {sorted(map(str, extra))[:5]}")
    stories, told = _ledger(broker, found)
    if told != {str(report_id) for report_id in reports.values()}:
        found.append("the ledger does not tell the reports that are registered")
    read = {case: list(story) for case, story in notify.table("story").items()}
    if read != stories:
        wrong_ones = [str(each) for each in stories if stories[each] != read.get(each)]
        found.append(f"the reader's state is not the ledger: {wrong_ones[:3]}")
    last = dispatch.table("case")
    if {case: len(story) for case, story in stories.items()} != last:
        found.append("dispatch does not stand where its ledger stands")
    _dead(dispatch, accepted, found)
    if notify.table("dead_letter"):
        found.append("the reader has dead letters")
    return found


def _ledger(broker: Broker, found: list[str]) -> tuple[dict[UUID, list[str]], set[str]]:
    """Each case's events in the topic, repetitions dropped; each report once."""
    stories: dict[UUID, list[str]] = {}
    told: set[str] = set()
    bodies: dict[tuple[UUID, int], bytes | None] = {}
    for partition, log in sorted(broker.logs.items()):
        if partition.topic != CASE_EVENTS:
            continue
        for record in WriterEpochs().in_force(log.records):
            if record.header("ce_type") != CaseAccepted.TYPE.encode():
                continue  # put there by a scenario
            case, seq, report_id = _event(record)
            story = stories.setdefault(case, [])
            if seq <= len(story):
                if story[seq - 1] != report_id or bodies[case, seq] != record.value:
                    found.append(f"{partition}-{record.offset}: {case} has two events {seq}")
            elif seq > len(story) + 1:
                found.append(f"{partition}-{record.offset}: {case} has a hole before {seq}")
            else:
                if report_id in told:
                    found.append(f"{partition}-{record.offset}: {report_id} has a second life")
                story.append(report_id)
                bodies[case, seq] = record.value
                told.add(report_id)
    return stories, told


def _event(record: ConsumedRecord) -> tuple[UUID, int, str]:
    body = from_json(record.value or b"")
    return UUID(body["case_id"]), body["seq"], (record.header("ce_id") or b"").decode()


def _dead(dispatch: Store, accepted: Accepted, found: list[str]) -> None:
    """Dead letters are the bad records, but for those that a stopped sender has waiting."""
    dead = {_identity(record) for record, _ in dispatch.table("dead_letter").values()}
    held = {_identity(record) for record in dispatch.table("parked").values()}
    if missing := accepted.bad - dead - accepted.may_be_lost:
        found.append(f"bad records without a dead letter: {sorted(missing)[:5]}")
    if missing := accepted.flooded - dead - held - accepted.may_be_lost:
        found.append(f"records of a stopped sender are gone: {sorted(missing)[:5]}")
    if wrongly := dead - accepted.bad - accepted.flooded:
        found.append(f"good records are dead letters: {sorted(wrongly)[:5]}")
    if wrongly := held - accepted.flooded:
        found.append(f"records of others are held back: {sorted(wrongly)[:5]}")


def _identity(record: ConsumedRecord) -> str:
    return (record.value or b"").decode().split(" ")[0]
