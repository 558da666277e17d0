"""Messages that have had their end before this database, which had forgotten it, asks for them."""

from collections.abc import Sequence
from typing import NamedTuple

from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.notify.adapters.deliveries import delivered
from lastmetre.notify.adapters.postgres import adoption, asking
from lastmetre.notify.adapters.postgres.asking import DoneMessage
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
    await asking.insert_done(
        work.connection,
        [
            DoneMessage(
                by_id[identity].event.case_id,
                by_id[identity].request.recipient,
                by_id[identity].event.seq,
                by_id[identity].request.kind.value,
                end.result,
                end.provider,
                end.error,
                end.occurred_at,
            )
            for identity, end in adopted.items()
        ],
    )
    for identity, end in adopted.items():
        if not end.told:
            message = by_id[identity]
            work.send(
                delivered(
                    message.event.case_id,
                    message.request.recipient,
                    message.event.seq,
                    provider=end.provider,
                    result=DeliveryResult(end.result),
                    error=end.error,
                    occurred_at=end.occurred_at,
                    recorded_at=work.now,
                    traceparent=message.traceparent,
                )
            )
    return [each for identity, each in by_id.items() if identity not in adopted]
