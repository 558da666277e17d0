"""Notify's internal HTTP: the messages about a case with their words, for the staff's page of it.

What it answers is personal: whoever asks shows it at that moment, keeps and logs nothing.
"""

from typing import Final
from uuid import UUID

from pydantic import AwareDatetime

from lastmetre.common.contracts.base import Model
from lastmetre.common.contracts.deliveries import Recipient

CASE_MESSAGES_PATH: Final = "/api/notify/v1/cases/{case_id}/messages/texts"


class CaseMessageText(Model):
    """A message, its words without the secret links, and as much of its address as may be seen."""

    seq: int
    """The event that it tells of."""
    kind: str
    recipient: Recipient
    lead_id: str | None
    state: str
    """`pending` and `sending` are on their way; the others are a DeliveryResult."""
    provider: str | None
    attempts: int | None
    error: str | None
    occurred_at: AwareDatetime
    address_masked: str | None
    text: str | None
    """None: the vault does not answer, and the recipient's language is not known without it."""
    message_id: UUID | None = None
    """Of the message as it was sent first; None from a build that does not tell."""
    asked_by: str | None = None
    """Who asked to send it again, as `operator:zhou.lin`; None if it is sent for the first time."""
    can_be_sent_again: bool = False


class CaseMessageTexts(Model):
    """In the order of the events."""

    messages: list[CaseMessageText]
