"""What became of a message, as it goes onto `notify.deliveries`."""

from datetime import datetime
from typing import Final
from uuid import UUID

from lastmetre.common.contracts.deliveries import DeliveryResult, MessageDelivered
from lastmetre.common.contracts.topics import NOTIFY_DELIVERIES
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event
from lastmetre.notify.domain.messages import message_id, recipient_kind

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
