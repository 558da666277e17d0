"""Kafka in: the ledger becomes messages to be sent, one set of statements a batch."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from uuid import UUID

from lastmetre.common.contracts.base import ActorRole, Origin
from lastmetre.common.contracts.case_model import LedgerBroken
from lastmetre.common.contracts.cases import CaseEvent, CaseRated, CaseReopened
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka import batches
from lastmetre.common.kafka.case_sequence import in_case_order
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord
from lastmetre.common.kafka.subscribers import Work
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.telemetry import metrics
from lastmetre.notify.adapters.deliveries import delivered
from lastmetre.notify.adapters.postgres import adoption, asking, pages
from lastmetre.notify.adapters.postgres.asking import DoneMessage, NewMessage
from lastmetre.notify.domain.case_projection import CaseProjection, apply, first, messages_for
from lastmetre.notify.domain.messages import (
    MessageRequest,
    message_id,
    recipient_kind,
    shard_of,
)

CASES_FLOW: Final = "cases"

Wanted = tuple[CaseEvent, MessageRequest, ConsumedRecord]
"""A message that an event asks for, and the record that told of it."""


class Consumers:
    """What the flow does with a batch.

    `real_clock` says when a message was asked for: retries and expiry must not follow a time-lapse.
    """

    def __init__(
        self, host: ServiceHost, real_clock: Clock, wake_sender: Callable[[], None]
    ) -> None:
        self._host = host
        self._real_clock = real_clock
        self._wake_sender = wake_sender
        host.consume(CASES_FLOW, [CASE_EVENTS], self.cases)

    async def cases(self, work: Work, records: batches.CaseEvents) -> None:
        """Apply events in their order; what they ask for waits to be sent, or is suppressed."""
        known: dict[UUID, CaseProjection] = {}

        async def last_seqs(case_ids: list[UUID]) -> dict[UUID, int]:
            known.update(await asking.known_cases(work.connection, case_ids))
            return {case_id: case.seq for case_id, case in known.items()}

        told: list[CaseEvent] = []
        new: list[CaseProjection] = []
        changed: list[CaseProjection] = []
        wanted: dict[Origin, list[Wanted]] = {origin: [] for origin in Origin}
        for case_id, events in await in_case_order(work, records, last_seqs):
            case = known.get(case_id)
            for event, record in events:
                try:
                    if case is None:
                        case = first(event)
                        continue
                    requests = messages_for(case, event)
                    case = apply(case, event, len(requests))
                except LedgerBroken as error:
                    raise BadRecord(str(error)) from error
                told.append(event)
                for request in requests:
                    wanted[request.origin].append((event, request, record))
            if case is not None:
                (changed if case_id in known else new).append(case)
        if new:
            await asking.insert_cases(work.connection, new)
        if changed:
            await asking.update_cases(work.connection, changed)
        await _note_ratings(work, told)
        left = await self._without_adopted(work, wanted)
        await self._ask(work, left[Origin.LIVE])
        await self._suppress(work, left[Origin.IMPORT])

    async def _without_adopted(
        self, work: UnitOfWork, wanted: Mapping[Origin, Sequence[Wanted]]
    ) -> Mapping[Origin, Sequence[Wanted]]:
        """What is left to be asked for: a message that has had its end, which this database had
        forgotten, ends so at once and is neither sent nor told again. One that was attempted, and
        whose end nobody knows, ends as unknown, which is told."""
        if not await adoption.is_anything_kept(work.connection):
            return wanted
        by_id = {
            message_id(event.case_id, event.seq, request.recipient): (event, request, record)
            for each in wanted.values()
            for event, request, record in each
        }
        adopted = await adoption.take(work.connection, list(by_id)) if by_id else {}
        if not adopted:
            return wanted
        await asking.insert_done(
            work.connection,
            [
                DoneMessage(
                    event.case_id,
                    request.recipient,
                    event.seq,
                    request.kind.value,
                    adopted[each].result,
                    adopted[each].provider,
                    adopted[each].error,
                    adopted[each].occurred_at,
                )
                for each, (event, request, _) in by_id.items()
                if each in adopted
            ],
        )
        for each, end in adopted.items():
            if not end.told:
                event, request, record = by_id[each]
                work.send(
                    delivered(
                        event.case_id,
                        request.recipient,
                        event.seq,
                        provider=end.provider,
                        result=DeliveryResult(end.result),
                        error=end.error,
                        occurred_at=end.occurred_at,
                        recorded_at=work.now,
                        traceparent=self._trace(record),
                    )
                )
        return {
            origin: [
                (event, request, record)
                for event, request, record in each
                if message_id(event.case_id, event.seq, request.recipient) not in adopted
            ]
            for origin, each in wanted.items()
        }

    async def _ask(self, work: UnitOfWork, wanted: Sequence[Wanted]) -> None:
        if not wanted:
            return
        now = self._real_clock.now()
        await asking.insert_waiting(
            work.connection,
            [
                NewMessage(
                    event.case_id,
                    request.recipient,
                    event.seq,
                    shard_of(event.case_id),
                    request.kind,
                    now,
                    now,
                    event.occurred_at,
                    self._trace(record),
                    request.lead.zh if request.lead else None,
                    request.lead.en if request.lead else None,
                )
                for event, request, record in wanted
            ],
        )
        work.after_commit(self._wake_sender)

    async def _suppress(self, work: UnitOfWork, wanted: Sequence[Wanted]) -> None:
        """History is not announced. That it was not is recorded, at the time of its cause."""
        if not wanted:
            return
        result = DeliveryResult.SUPPRESSED
        await asking.insert_done(
            work.connection,
            [
                DoneMessage(
                    event.case_id,
                    request.recipient,
                    event.seq,
                    request.kind.value,
                    result.value,
                    None,
                    None,
                    event.occurred_at,
                )
                for event, request, _ in wanted
            ],
        )
        for event, request, record in wanted:
            work.send(
                delivered(
                    event.case_id,
                    request.recipient,
                    event.seq,
                    provider=None,
                    result=result,
                    error=None,
                    occurred_at=event.occurred_at,
                    recorded_at=work.now,
                    traceparent=self._trace(record),
                )
            )
            metrics.MESSAGES.labels(recipient_kind(request.recipient).value, "", result.value).inc()

    def _trace(self, record: ConsumedRecord) -> str:
        return record.traceparent or self._host.identities.traceparent()


async def _note_ratings(work: UnitOfWork, events: Sequence[CaseEvent]) -> None:
    """Whoever rated is told what the ledger holds of it."""
    rated = [each for each in events if isinstance(each, CaseRated)]
    by_residents = [each for each in events if each.actor.role is ActorRole.RESIDENT]
    reopened = [each for each in by_residents if isinstance(each, CaseReopened)]
    if rated:
        await pages.note_recorded(work.connection, rated, work.now)
    if reopened:
        await pages.note_reopened(work.connection, reopened)
