"""The vault's internal HTTP: what is asked of intake, and what it answers.

What it answers is personal: whoever asks shows or uses it at that moment, keeps and logs nothing.
"""

from typing import Annotated, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from lastmetre.common.contracts.base import Channel, Code, Language, LongText, Model, ShortText

VAULT_PREFIX: Final = "/api/intake/v1"
ASKED_AT_MOST: Final = 1000
"""Reports, and leads, in one question."""

ReportIds = Annotated[list[UUID], Field(max_length=ASKED_AT_MOST)]


class Asked(BaseModel):
    """A question. Fields that nobody knows are refused."""

    model_config = ConfigDict(extra="forbid")


class ContactsAsked(Asked):
    """Whose ways to be reached are asked for."""

    report_ids: ReportIds = []
    lead_ids: Annotated[list[Code], Field(max_length=ASKED_AT_MOST)] = []


class Contact(Model):
    """How to reach somebody: only what can be used."""

    phone: str | None = None
    email: str | None = None
    language: Language | None = None


class Contacts(Model):
    """Whom the vault does not know is left out, and so is whose row is damaged: those are named."""

    reports: dict[UUID, Contact] = Field(default_factory=dict)
    leads: dict[str, Contact] = Field(default_factory=dict)
    unreadable_reports: list[UUID] = Field(default_factory=list)
    unreadable_leads: list[str] = Field(default_factory=list)


class TextsAsked(Asked):
    """Which reports' words are asked for."""

    report_ids: ReportIds


class ReportAddition(Model):
    """What the reporter sent later: a note, or the report once more with other words."""

    added_at: AwareDatetime
    text: str | None
    address: str | None
    otherwise: bool
    """Sent once more with the same words, but with another place on the map, kind or contact."""


class ReportText(Model):
    """The words of a report, and as much of its contact as tells one from another."""

    text: str | None
    address: str | None
    phone_masked: str | None
    reachable: bool
    """Whether messages can be sent, by phone or by e-mail."""
    accuracy_metres: float | None = None
    """How far from its position the place may be; None: nobody said."""
    additions: list[ReportAddition] = Field(default_factory=list)
    """Oldest first."""


class ReportTexts(Model):
    """Which report the vault does not know is left out."""

    reports: dict[UUID, ReportText]


class ContactAsked(Asked):
    """A person reads a reporter's contact: `actor` as in the ledger, `lead:L017`."""

    report_id: UUID
    actor: Code
    every_reporter: bool = False
    """Whether he reads those of all who have reported the same: each is noted."""


class Reporter(Model):
    """Who sent one of the reports of a case."""

    report_id: UUID
    channel: Channel
    reported_at: AwareDatetime
    phone_masked: str | None
    reachable: bool
    """Whether messages can be sent, by phone or by e-mail."""
    shown: bool
    """Whether name, phone and e-mail are given as they were typed, and it is noted who reads."""
    name: str | None = None
    phone: str | None = None
    email: str | None = None


class ContactInFull(Model):
    """A reporter's contact as it was typed."""

    name: str | None
    phone: str | None
    email: str | None
    reporters: list[Reporter] = Field(default_factory=list)
    """Of all reports of its case, the one that it was registered for first. Who was erased, or
    whose row is damaged, is left out."""


MOST_NOTE: Final = 2000
"""Characters of a note."""


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


NoteText = Annotated[LongText, Field(min_length=1, max_length=MOST_NOTE), BeforeValidator(_trimmed)]


class NoteSent(Asked):
    """What a member of staff notes on a case, with the report that the case was registered for."""

    note_id: UUID
    report_id: UUID
    text: NoteText


class NotesAsked(Asked):
    """Which notes are asked for."""

    note_ids: Annotated[list[UUID], Field(max_length=ASKED_AT_MOST)]


class Notes(Model):
    """What was noted; what was erased is left out."""

    notes: dict[UUID, str]


class LeadContactSent(Asked):
    """A lead's contact."""

    lead_id: Code
    phone: ShortText | None = None
    email: ShortText | None = None
    language: Language = Language.CHINESE


class LeadContactsSent(Asked):
    """Contacts of leads, each in place of an earlier one."""

    contacts: Annotated[list[LeadContactSent], Field(max_length=10_000)]
    dry_run: bool = False
    """Only say what of them is of no use."""


class LeadRemark(Model):
    """Why a field of a lead's contact is of no use."""

    lead_id: str
    field: str
    message: str


class LeadContactsKept(Model):
    """How many contacts are kept, and what of them is of no use."""

    kept: int
    remarks: list[LeadRemark] | None = None
