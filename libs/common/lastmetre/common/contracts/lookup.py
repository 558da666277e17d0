"""The lookup's internal HTTP: what became of a sender's own ids."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import Field

from lastmetre.common.contracts.base import Channel, Code, Model
from lastmetre.common.contracts.vault import Asked

ASKED_AT_MOST: Final = 1000


class LookupAsked(Asked):
    """A sender's ids within one channel."""

    sender: Code
    channel: Channel
    source_ids: Annotated[list[Code], Field(max_length=ASKED_AT_MOST)]


class LookedUp(Model):
    """What became of one id; `unseen` until its record was read, then no more is known."""

    source_id: str
    receipt: str
    outcome: Literal["unseen", "accepted", "rejected"]
    report_id: UUID | None = None
    reasons: list[str] | None = None
    case_id: UUID | None = None
    number: str | None = None
    state: str | None = None
    seq: int | None = None
    lead_id: str | None = None


class Lookup(Model):
    """An entry per source id, in order."""

    reports: list[LookedUp]
