"""What is told of a message that is sent again, also to a reader that does not know of it."""

from datetime import UTC, date, datetime
from uuid import UUID

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.deliveries import (
    DeliveryResult,
    MessageAttempted,
    MessageDelivered,
)
from lastmetre.notify.adapters.deliveries import attempted, delivered
from lastmetre.notify.domain.messages import REPORTER, message_id
from lastmetre.notify.domain.provider import OutboundMessage
from lastmetre.notify.domain.sending_again import AskedAgain
from tests.unit.notify.ledger import CASE

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
FIRST = message_id(CASE, 3, REPORTER)
ASKED = AskedAgain(UUID(int=5), Actor(role=ActorRole.OPERATOR, id="zhou.lin"), NOW)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def told(again: AskedAgain | None) -> MessageDelivered:
    record = delivered(
        CASE, REPORTER, 3, provider="smtp", result=DeliveryResult.SENT, error=None,
        occurred_at=NOW, recorded_at=NOW, traceparent=TRACE, again=again,
    )  # fmt: skip
    assert record.value is not None
    return MessageDelivered.from_json(record.value)


def test_it_names_the_first_and_who_asked() -> None:
    again = told(ASKED).again
    assert again is not None
    assert (again.message_id, again.request_id) == (FIRST, ASKED.request_id)
    assert (again.actor, again.asked_at) == (ASKED.actor, NOW)
    assert told(None).again is None
    assert told(None).message_id == FIRST


def test_a_reader_that_does_not_know_of_it_counts_a_message_of_its_own() -> None:
    """It knows messages by their ids, and passes over the field."""
    other = told(ASKED._replace(request_id=UUID(int=6)))
    assert len({FIRST, told(ASKED).message_id, other.message_id}) == 3


def test_an_attempt_is_told_under_the_same_id_as_its_end() -> None:
    outbound = OutboundMessage(
        CASE, "261122-0418", 3, REPORTER, "accepted", "zh", "a@b.invalid", date(2026, 11, 22),
        "", "", 1, TRACE, ASKED,
    )  # fmt: skip
    record = attempted(outbound, "smtp", NOW)
    assert record.value is not None
    attempt = MessageAttempted.from_json(record.value)
    assert attempt.message_id == outbound.message_id == told(ASKED).message_id
    assert attempt.again == told(ASKED).again
