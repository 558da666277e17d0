"""A message as it is kept: waiting, or at its end."""

from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.notify.domain.messages import id_sent_again, message_id
from lastmetre.notify.domain.sending_again import SENT_AGAIN, AskedAgain


class StoredMessage(NamedTuple):
    """A message about a case, waiting or at its end. What only one of the two has is None."""

    case_id: UUID
    number: str
    report_id: UUID
    """Of the reporter, or of the case where the recipient is a lead."""
    language: str
    category: str
    seq: int
    recipient: str
    kind: str
    lead_zh: str | None
    lead_en: str | None
    state: str
    provider: str | None
    attempts: int | None
    error: str | None
    occurred_at: datetime
    asked_at: datetime | None
    not_before: datetime | None
    again: AskedAgain | None = None
    """Who asked to send it again, if it is not the first time."""
    superseded: bool = False
    """Whether somebody has asked since to send it again."""

    @property
    def first_id(self) -> UUID:
        """The id of the message as it was sent first."""
        return message_id(self.case_id, self.seq, self.recipient)

    @property
    def message_id(self) -> UUID:
        """The message's own id."""
        return id_sent_again(self.first_id, self.again.request_id) if self.again else self.first_id

    @property
    def can_be_sent_again(self) -> bool:
        """Whether it failed, or nobody knows, and nobody has asked for more since."""
        return self.state in SENT_AGAIN and not self.superseded

    @property
    def place(self) -> "LogPlace":
        """Where it stands in the log."""
        waits = self.asked_at is not None
        return LogPlace(
            waits,
            self.asked_at or self.occurred_at,
            self.case_id,
            self.recipient,
            self.seq,
            self.again.request_id if self.again else FIRST_TIME,
        )


FIRST_TIME: Final = UUID(int=0)
"""Stands for the request of a message that is sent for the first time."""


class LogPlace(NamedTuple):
    """A message's place in the log, behind which a page of it begins.

    First come those on their way (`waits`), by when they were asked for, then the others, the
    newest first. `at` is real time of the first and city time of the others.
    """

    waits: bool
    at: datetime
    case_id: UUID
    recipient: str
    seq: int
    request_id: UUID
