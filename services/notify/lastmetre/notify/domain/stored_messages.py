"""A message as it is kept: waiting, or at its end."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID


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
