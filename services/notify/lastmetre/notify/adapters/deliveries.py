"""What is done with a message, as it goes onto `notify.deliveries`."""

from datetime import datetime
from typing import Final
from uuid import UUID

from lastmetre.common.contracts.deliveries import (
    DeliveryResult,
    MessageAttempted,
    MessageDelivered,
)
from lastmetre.common.contracts.topics import NOTIFY_DELIVERIES
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event
from lastmetre.notify.domain.messages import message_id, recipient_kind
from lastmetre.notify.domain.provider import OutboundMessage

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
) -> OutboxMessage:
    """The record that says so. Both instants are city time."""
    identity = message_id(case_id, seq, recipient)
    message = MessageDelivered(
        case_id=case_id,
        message_id=identity,
        seq=seq,
        recipient=recipient_kind(recipient),
        provider=provider,
        result=result,
        error=error,
        occurred_at=occurred_at,
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
    told = MessageAttempted(
        case_id=message.case_id,
        message_id=message.message_id,
        seq=message.seq,
        recipient=recipient_kind(message.recipient),
        provider=provider,
        attempt=message.attempt,
        occurred_at=now,
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
