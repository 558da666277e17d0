"""What people wrote, asked of intake at the moment it is shown; never kept here."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from enum import Enum, auto
from http import HTTPStatus
from uuid import UUID

from lastmetre.common.contracts.vault import (
    VAULT_PREFIX,
    ContactAsked,
    ContactInFull,
    Notes,
    NotesAsked,
    NoteSent,
    ReportText,
    ReportTexts,
    TextsAsked,
)
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.timing import timed
from lastmetre.dispatch.adapters.service_client import ServiceClient


class Kept(Enum):
    """What became of a note that was handed to the vault."""

    KEPT = auto()
    ERASED = auto()
    """What was personal of its report is erased: nothing is added."""
    AWAY = auto()


class VaultClient:
    """Intake's vault."""

    def __init__(self, intake: ServiceClient) -> None:
        self._intake = intake
        metrics.calls_from_the_start("dispatch", "texts", "contact", "notes", "note")

    async def texts(self, report_ids: Sequence[UUID]) -> dict[UUID, ReportText]:
        """The texts of these reports; empty while intake is away: a list is better than none."""
        if not report_ids:
            return {}
        asked = TextsAsked(report_ids=list(report_ids))
        found = await self._intake.ask(f"{VAULT_PREFIX}/texts", ReportTexts, asked, _timed("texts"))
        return found.reports if found else {}

    async def contact(self, report_id: UUID, actor: str) -> ContactInFull | None:
        """A reporter's contact; intake notes that `actor` has read it. None while intake is away,
        or if it has none."""
        asked = ContactAsked(report_id=report_id, actor=actor)
        return await self._intake.ask(
            f"{VAULT_PREFIX}/contacts/look", ContactInFull, asked, _timed("contact")
        )

    async def notes(self, note_ids: Sequence[UUID]) -> dict[UUID, str] | None:
        """What was noted on a case, without what was erased; None while intake is away."""
        if not note_ids:
            return {}
        asked = NotesAsked(note_ids=list(note_ids))
        found = await self._intake.ask(f"{VAULT_PREFIX}/notes/look", Notes, asked, _timed("notes"))
        return found.notes if found else None

    async def keep_note(self, note: NoteSent) -> Kept:
        """Keep a note; the same again changes nothing."""
        status = await self._intake.tell(f"{VAULT_PREFIX}/notes", note, _timed("note"))
        if status == HTTPStatus.NOT_FOUND:
            return Kept.ERASED
        return Kept.KEPT if status == HTTPStatus.NO_CONTENT else Kept.AWAY

    async def erase_notes(self, note_ids: Sequence[UUID]) -> bool:
        """Erase notes that do not stand on a case; False while intake is away."""
        asked = NotesAsked(note_ids=list(note_ids))
        path = f"{VAULT_PREFIX}/notes/take-back"
        return await self._intake.tell(path, asked, _timed("note")) == HTTPStatus.NO_CONTENT


def _timed(call: str) -> AbstractContextManager[None]:
    return timed(metrics.VAULT_CALLS, "dispatch", call)
