"""What became of each message, on `notify.deliveries`."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from lastmetre.common.contracts.base import CaseMessage, Code


class Recipient(StrEnum):
    """Who a message is for."""

    REPORTER = "reporter"
    LEAD = "lead"


class DeliveryResult(StrEnum):
    """What became of a message.

    `unknown`: a crash came between the call and its result, and the provider cannot tell.
    """

    SENT = "sent"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"


class MessageDelivered(CaseMessage):
    """The end of one message's way. Key: case id."""

    TYPE: ClassVar[str] = "lastmetre.message.delivered.v1"

    message_id: UUID
    seq: int = Field(ge=1, description="the case event that the message tells of")
    recipient: Recipient
    provider: Code | None = Field(default=None, description="folder, smtp; none if suppressed")
    result: DeliveryResult
    error: Code | None = None
    occurred_at: AwareDatetime
