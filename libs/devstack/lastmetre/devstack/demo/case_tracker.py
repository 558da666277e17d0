"""Cases of the planned reports, as whoever acts on them learns of them: from the ledger."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self
from uuid import UUID, uuid5

from aiokafka import AIOKafkaConsumer, TopicPartition

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Message, message_types
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.requests import Action
from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.codec import ConsumedRecord, decode
from lastmetre.common.service.ids import trace_id
from lastmetre.devstack.demo.scenario import PlannedReport, PlannedStep

_TRACES: Final = UUID("c9f4a2d8-0b6e-5d37-8a51-2e7d9f1b4c60")
_TYPES: Final[Mapping[str, type[Message]]] = message_types(cases)
_FETCH_MS: Final = 200

_STEPS: Final = (
    cases.CaseAccepted,
    cases.CaseArrived,
    cases.CaseResolved,
    cases.CaseReturned,
    cases.CaseCancelled,
)
_NEXT_STEP_AFTER: Final = (
    cases.Assignment,
    cases.CaseUnplaced,
    cases.CaseAccepted,
    cases.CaseArrived,
)


def traceparent_of(source_id: str) -> str:
    """The trace that a planned report is sent with: by it, its case is recognised."""
    trace = uuid5(_TRACES, source_id).hex
    return f"00-{trace}-{trace[:16]}-01"


@dataclass(slots=True)
class TrackedCase:
    """A planned report's case: what has become of it, and how many planned steps are done."""

    report: PlannedReport
    case_id: UUID
    seq: int = 1
    steps_done: int = 0
    lead_id: str | None = None
    closing: int | None = None
    rated: bool = False
    merged: bool = False

    @property
    def next_step(self) -> PlannedStep | None:
        """What is to be done next, None if nothing more is planned."""
        steps = self.report.steps
        return steps[self.steps_done] if self.steps_done < len(steps) else None

    def apply(self, event: CaseEvent) -> datetime | None:
        """Take an event in. Returns when the next planned step counts from, if it does now."""
        self.seq = event.seq
        by_operator = isinstance(event, cases.Assignment) and event.matched_by == "operator"
        step = self.next_step
        found = isinstance(event, cases.CaseDispatched) and event.matched_by == "position"
        # Where its words told the place, nobody has to place it.
        if (
            isinstance(event, _STEPS)
            or by_operator
            or (found and step and step.action is Action.PLACE)
        ):
            self.steps_done += 1
        if isinstance(event, cases.Assignment):
            self.lead_id = event.lead.lead_id
        elif isinstance(event, cases.CaseClosed):
            self.closing = event.seq
        elif isinstance(event, cases.CaseRated):
            self.rated = True
        elif isinstance(event, cases.CaseMerged):
            self.merged = True
        waits = isinstance(event, _NEXT_STEP_AFTER) and self.next_step is not None
        return event.occurred_at if waits else None


class Ledger:
    """Reads `case.events` from its beginning, without a group, as a partner may."""

    def __init__(self, consumer: AIOKafkaConsumer, prefix: str) -> None:
        self._consumer = consumer
        self._places = [TopicPartition(prefix + CASE_EVENTS, n) for n in range(PARTITIONS)]

    @classmethod
    @asynccontextmanager
    async def open(cls, access: KafkaAccess, prefix: str) -> AsyncIterator[Self]:
        """At the topic's beginning."""
        consumer = clients.consumer(access, client_id="lastmetre-demo")
        await consumer.start()
        try:
            ledger = cls(consumer, prefix)
            consumer.assign(ledger._places)
            yield ledger
        finally:
            await consumer.stop()

    async def read(self) -> list[tuple[str, CaseEvent]]:
        """What has come since, each event with its trace id; empty after a moment without any."""
        found: list[tuple[str, CaseEvent]] = []
        batches = await self._consumer.getmany(timeout_ms=_FETCH_MS)
        for place, records in batches.items():
            for each in records:
                record = ConsumedRecord(
                    CASE_EVENTS, place.partition, each.offset, each.timestamp,
                    each.key, each.value, each.headers,
                )  # fmt: skip
                event = decode(record, _TYPES)
                assert isinstance(event, CaseEvent)
                found.append((trace_id(record.traceparent or ""), event))
        return found

    async def caught_up(self) -> bool:
        """Everything that is there now has been read."""
        ends = await self._consumer.end_offsets(self._places)
        return all([await self._consumer.position(place) >= ends[place] for place in self._places])
