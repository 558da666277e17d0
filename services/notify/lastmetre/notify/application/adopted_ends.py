"""Messages that have had their end before this database, which had forgotten it, asks for them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.kafka.codec import OutboxMessage
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.notify.adapters.deliveries import delivered
from lastmetre.notify.adapters.postgres import adoption, asking, sending_again
from lastmetre.notify.adapters.postgres.adoption import AdoptedDelivery, Key
from lastmetre.notify.adapters.postgres.asking import DoneMessage
from lastmetre.notify.adapters.postgres.sending_again import EndedRequest
from lastmetre.notify.domain.messages import MessageRequest, message_id


class WantedMessage(NamedTuple):
    """A message that an event asks for, and the trace that it came with."""

    event: CaseEvent
    request: MessageRequest
    traceparent: str


async def without_adopted(
    work: UnitOfWork, wanted: Sequence[WantedMessage]
) -> Sequence[WantedMessage]:
    """What is left to be asked for: a message that has had its end ends so at once and is neither
    sent nor told again. One that was attempted, and whose end nobody knows, ends as unknown, which
    is told."""
    if not wanted or not await adoption.is_anything_kept(work.connection):
        return wanted
    by_id = {
        message_id(each.event.case_id, each.event.seq, each.request.recipient): each
        for each in wanted
    }
    adopted = await adoption.take(work.connection, list(by_id))
    if not adopted:
        return wanted
    first = {identity: end for identity, end in adopted.items() if end.first_id is None}
    await asking.insert_done(
        work.connection, [_done(by_id[identity], end) for identity, end in first.items()]
    )
    for identity, end in first.items():
        if not end.told:
            work.send(_told(by_id[identity], end, work.now))
    for end in adopted.values():
        if end.first_id is not None:
            message = by_id[end.first_id]
            key = end.case_id, message.request.recipient, end.seq
            await end_again(work, end, key, message.traceparent)
    return [each for identity, each in by_id.items() if identity not in first]


async def end_again(work: UnitOfWork, end: AdoptedDelivery, key: Key, traceparent: str) -> None:
    """Keep a request to send that message again, which this database had forgotten, with its end.
    It is told where nobody has told it yet."""
    assert end.asked is not None
    case_id, recipient, seq = key
    what = case_id, recipient, seq, end.result, end.provider, end.error, end.occurred_at
    await sending_again.insert_ended(work.connection, [EndedRequest(end.asked, *what)])
    if not end.told:
        work.send(
            delivered(
                case_id,
                recipient,
                seq,
                provider=end.provider,
                result=DeliveryResult(end.result),
                error=end.error,
                occurred_at=end.occurred_at,
                recorded_at=work.now,
                traceparent=traceparent,
                again=end.asked,
            )
        )


def _done(message: WantedMessage, end: AdoptedDelivery) -> DoneMessage:
    return DoneMessage(
        message.event.case_id,
        message.request.recipient,
        message.event.seq,
        message.request.kind.value,
        end.result,
        end.provider,
        end.error,
        end.occurred_at,
    )


def _told(message: WantedMessage, end: AdoptedDelivery, now: datetime) -> OutboxMessage:
    return delivered(
        message.event.case_id,
        message.request.recipient,
        message.event.seq,
        provider=end.provider,
        result=DeliveryResult(end.result),
        error=end.error,
        occurred_at=end.occurred_at,
        recorded_at=now,
        traceparent=message.traceparent,
    )
