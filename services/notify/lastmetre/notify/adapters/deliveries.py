"""What is done with a message, as it goes onto `notify.deliveries`."""

from datetime import datetime
from typing import Final
from uuid import UUID

from lastmetre.common.contracts.deliveries import (
    DeliveryResult,
    MessageAttempted,
    MessageDelivered,
    SentAgain,
)
from lastmetre.common.contracts.topics import NOTIFY_DELIVERIES
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event
from lastmetre.notify.domain.messages import id_sent_again, message_id, recipient_kind
from lastmetre.notify.domain.provider import OutboundMessage
from lastmetre.notify.domain.sending_again import AskedAgain

SOURCE: Final = "/notify"


def delivered(
    case_id: UUID,
    recipient: str,
    seq: int,
    *,
    provider: str | None,
    result: DeliveryResult,
    error: str | None,
    occurred_at: datetime,
    recorded_at: datetime,
    traceparent: str,
    again: AskedAgain | None = None,
) -> OutboxMessage:
    """The record that says so. Both instants are city time."""
    first_id = message_id(case_id, seq, recipient)
    identity = id_sent_again(first_id, again.request_id) if again else first_id
    message = MessageDelivered(
        case_id=case_id,
        message_id=identity,
        seq=seq,
        recipient=recipient_kind(recipient),
        provider=provider,
        result=result,
        error=error,
        occurred_at=occurred_at,
        again=_sent_again(first_id, again) if again else None,
    )
    return cloud_event(
        message,
        topic=NOTIFY_DELIVERIES,
        key=str(case_id),
        event_id=str(identity),
        source=SOURCE,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        traceparent=traceparent,
    )


def attempted(message: OutboundMessage, provider: str, now: datetime) -> OutboxMessage:
    """The record that says that `provider` is about to be given this; `now` is city time."""
    first_id = message_id(message.case_id, message.seq, message.recipient)
    told = MessageAttempted(
        case_id=message.case_id,
        message_id=message.message_id,
        seq=message.seq,
        recipient=recipient_kind(message.recipient),
        provider=provider,
        attempt=message.attempt,
        occurred_at=now,
        again=_sent_again(first_id, message.again) if message.again else None,
    )
    return cloud_event(
        told,
        topic=NOTIFY_DELIVERIES,
        key=str(message.case_id),
        event_id=f"{message.message_id}:{message.attempt}",
        source=SOURCE,
        occurred_at=now,
        recorded_at=now,
        traceparent=message.traceparent,
    )


def _sent_again(first_id: UUID, again: AskedAgain) -> SentAgain:
    return SentAgain(
        message_id=first_id,
        request_id=again.request_id,
        actor=again.actor,
        asked_at=again.asked_at,
    )
