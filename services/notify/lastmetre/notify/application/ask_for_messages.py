"""What the ledger tells becomes messages to be sent, one set of statements a batch."""

from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from lastmetre.common.contracts.base import ActorRole, Origin
from lastmetre.common.contracts.case_model import LedgerBroken
from lastmetre.common.contracts.cases import CaseEvent, CaseRated, CaseReopened, CategoryChanged
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.kafka.case_sequence import in_case_order
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.ids import IdGenerator
from lastmetre.common.telemetry import metrics
from lastmetre.notify.adapters.deliveries import delivered
from lastmetre.notify.adapters.postgres import asking, ratings
from lastmetre.notify.adapters.postgres.asking import DoneMessage, NewMessage
from lastmetre.notify.application.adopted_ends import WantedMessage, without_adopted
from lastmetre.notify.domain.case_projection import CaseProjection, apply, first, messages_for
from lastmetre.notify.domain.messages import recipient_kind, shard_of


class AskForMessages:
    """Applies events in their order; what they ask for waits to be sent, or is suppressed.

    `real_clock` says when a message was asked for: retries and expiry must not follow a time-lapse.
    """

    def __init__(
        self, identities: IdGenerator, real_clock: Clock, wake_sender: Callable[[], None]
    ) -> None:
        self._identities = identities
        self._real_clock = real_clock
        self._wake_sender = wake_sender

    async def __call__(self, work: UnitOfWork, records: Sequence[ConsumedRecord]) -> None:
        """In the transaction of the batch. Raises BadRecord for an event that cannot be one of its
        case."""
        known: dict[UUID, CaseProjection] = {}

        async def last_seqs(case_ids: list[UUID]) -> Mapping[UUID, int]:
            known.update(await asking.known_cases(work.connection, case_ids))
            return {case_id: case.seq for case_id, case in known.items()}

        told: list[CaseEvent] = []
        new: list[CaseProjection] = []
        changed: list[CaseProjection] = []
        wanted: list[WantedMessage] = []
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
                if requests:
                    trace = record.traceparent or self._identities.traceparent()
                    wanted += [WantedMessage(event, request, trace) for request in requests]
            if case is not None:
                (changed if case_id in known else new).append(case)
        if new:
            await asking.insert_cases(work.connection, new)
        if changed:
            await asking.update_cases(work.connection, changed)
        await _note_ratings(work, told)
        await _note_corrections(work, told)
        left = await without_adopted(work, wanted)
        await self._ask(work, [each for each in left if each.request.origin is Origin.LIVE])
        await _suppress(work, [each for each in left if each.request.origin is Origin.IMPORT])

    async def _ask(self, work: UnitOfWork, wanted: Sequence[WantedMessage]) -> None:
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
                    traceparent,
                    request.lead.zh if request.lead else None,
                    request.lead.en if request.lead else None,
                )
                for event, request, traceparent in wanted
            ],
        )
        work.after_commit(self._wake_sender)


async def _suppress(work: UnitOfWork, wanted: Sequence[WantedMessage]) -> None:
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
    for event, request, traceparent in wanted:
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
                traceparent=traceparent,
            )
        )
        metrics.MESSAGES.labels(recipient_kind(request.recipient).value, "", result.value).inc()


async def _note_corrections(work: UnitOfWork, events: Sequence[CaseEvent]) -> None:
    """Messages of before say what they said."""
    if corrected := [each for each in events if isinstance(each, CategoryChanged)]:
        await asking.note_former_categories(work.connection, corrected)


async def _note_ratings(work: UnitOfWork, events: Sequence[CaseEvent]) -> None:
    """Whoever rated is told what the ledger holds of it."""
    rated = [each for each in events if isinstance(each, CaseRated)]
    by_residents = [each for each in events if each.actor.role is ActorRole.RESIDENT]
    reopened = [each for each in by_residents if isinstance(each, CaseReopened)]
    if rated:
        await ratings.note_recorded(work.connection, rated, work.now)
    if reopened:
        await ratings.note_reopened(work.connection, reopened)
