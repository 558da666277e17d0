"""What is done with each message, on `notify.deliveries`."""

from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from lastmetre.common.contracts.base import Actor, CaseMessage, Code, Model


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


class SentAgain(Model):
    """A request to send again a message that failed, or of which nobody knows whether it went out.

    What is sent again is a message of its own, with an id and an end of its own: a reader that does
    not know of this counts one message more, which came to that end.
    """

    message_id: UUID = Field(description="of the message that is sent again, as it was sent first")
    request_id: UUID = Field(description="what is asked twice under one id is sent once")
    actor: Actor = Field(description="who asked for it")
    asked_at: AwareDatetime


class MessageAttempted(CaseMessage):
    """A provider that does not recognise a repetition is about to be given a message. Key: case id.

    It is on the log before the message goes out, so that a database which has forgotten the attempt
    (it was restored, or a standby was promoted) hears of it. Says nothing of how the attempt ended.
    """

    TYPE: ClassVar[str] = "lastmetre.message.attempted.v1"

    message_id: UUID
    seq: int = Field(ge=1, description="the case event that the message tells of")
    recipient: Recipient
    provider: Code = Field(description="smtp")
    attempt: int = Field(ge=1, description="counted from 1 for each message")
    occurred_at: AwareDatetime
    again: SentAgain | None = Field(default=None, description="if somebody asked to send it again")


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
    again: SentAgain | None = Field(default=None, description="if somebody asked to send it again")
