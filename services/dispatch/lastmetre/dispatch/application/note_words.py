"""The words of notes: in intake's vault before the note is decided, and out of it if it is not to
stand on its case."""

from datetime import timedelta
from typing import Final
from uuid import UUID

import structlog

from lastmetre.common.contracts.vault import NoteSent
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.problem import Problem, busy
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.postgres import cases, undecided_notes
from lastmetre.dispatch.adapters.vault import Kept, VaultClient
from lastmetre.dispatch.application.transactions import own_transaction

log = structlog.get_logger()

UNDECIDED_FOR: Final = timedelta(minutes=5)
"""Longer than a request can take from its words to its decision."""
AT_ONCE: Final = 100


class NoteWords:
    """Keeps them for a note that is asked for. `clock` is a real one: requests take real time."""

    def __init__(self, host: ServiceHost, vault: VaultClient, clock: Clock) -> None:
        self._host = host
        self._vault = vault
        self._clock = clock

    async def keep(self, note_id: UUID, case_id: UUID, text: str | None) -> None:
        """The first words under a note's id count.

        Raises Problem: 422 without words, 409 where what is personal of the case was erased, 503
        while the vault is away.
        """
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            case = await cases.case_by_id(connection, case_id)
            if not text or case is None:
                raise Problem(
                    422, "/problems/note-missing", N_("Please write what is to be noted.")
                )
            await undecided_notes.asked(connection, note_id, self._clock.now())
        note = NoteSent(note_id=note_id, report_id=case.report_id, text=text)
        kept = await self._vault.keep_note(note)
        if kept is Kept.ERASED:
            raise Problem(
                409,
                "/problems/report-erased",
                N_("Nothing can be noted here any more"),
                N_("What was personal of this report has been erased."),
            )
        if kept is Kept.AWAY:
            raise busy()

    async def erase(self, note_id: UUID) -> None:
        """Of a note that was taken back; while the vault is away, `EraseUnusedNotes` does it."""
        await self._vault.erase_notes([note_id])


class EraseUnusedNotes:
    """Erases the words of notes that were refused, taken back, or never decided."""

    def __init__(self, host: ServiceHost, vault: VaultClient, clock: Clock) -> None:
        self._host = host
        self._vault = vault
        self._clock = clock

    async def __call__(self) -> None:
        """Of some of them, if there are any; of none while the vault is away."""
        try:
            async with own_transaction(self._host) as work:
                await undecided_notes.forget_decided(work.connection)
                before = self._clock.now() - UNDECIDED_FOR
                unused = await undecided_notes.take_unused(work.connection, before, AT_ONCE)
                if unused and not await self._vault.erase_notes(unused):
                    raise _VaultAway
        except _VaultAway:
            return
        if unused:
            log.info("words of notes that do not stand on a case are erased", notes=len(unused))


class _VaultAway(Exception):
    """They are still there."""
