"""What a reporter says about a closing, as it goes onto `feedback`."""

from lastmetre.common.contracts.requests import FeedbackGiven
from lastmetre.common.contracts.topics import FEEDBACK
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event
from lastmetre.notify.adapters.deliveries import SOURCE


def feedback(given: FeedbackGiven, traceparent: str) -> OutboxMessage:
    """The record that says so."""
    return cloud_event(
        given,
        topic=FEEDBACK,
        key=str(given.case_id),
        event_id=str(given.feedback_id),
        source=SOURCE,
        occurred_at=given.occurred_at,
        recorded_at=given.occurred_at,
        traceparent=traceparent,
    )
