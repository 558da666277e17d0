"""The words of a note that does not stand on its case do not stay in the vault."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.contracts.vault import NoteSent
from lastmetre.common.outbox.unit_of_work import NoCipher, UnitOfWork
from lastmetre.common.postgres.core_tables import TABLES
from lastmetre.devstack import Stack
from lastmetre.dispatch.adapters.postgres import held_actions
from lastmetre.dispatch.adapters.vault import Kept
from lastmetre.dispatch.application.note_words import UNDECIDED_FOR, EraseUnusedNotes, NoteWords
from lastmetre.dispatch.domain.held_actions import HeldAction
from tests.integration.dispatch_ledger import (
    NOW,
    DispatchProcess,
    action,
    dispatch_process,
    report,
)
from tests.support.city import TRACE
from tests.support.databases import fresh_database

STANDS, REFUSED, TAKEN_BACK, HELD, RECENT = range(1, 6)


@pytest.fixture
def database(stack: Stack) -> str:
    return fresh_database(stack, "dispatch")


class Vault:
    """Keeps notes, unless it is away."""

    def __init__(self) -> None:
        self.away = False
        self.notes: set[UUID] = set()

    async def keep_note(self, note: NoteSent) -> Kept:
        self.notes.add(note.note_id)
        return Kept.KEPT

    async def erase_notes(self, note_ids: Sequence[UUID]) -> bool:
        if not self.away:
            self.notes -= set(note_ids)
        return not self.away


class Clock:
    """Stands until it is set."""

    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class Host:
    """One whose service has caught up with its own topics."""

    def __init__(self, process: DispatchProcess) -> None:
        self.pool = process.pool

    def unit_of_work(self, connection: Any, consumer: str) -> UnitOfWork:
        return UnitOfWork(
            connection, TABLES, service="dispatch", consumer=consumer, now=NOW, cipher=NoCipher()
        )


async def hold(process: DispatchProcess, case: Case, request: ActionRequested) -> None:
    async with process.pool.acquire() as connection:
        held = HeldAction(request, case.number, TRACE, NOW, None)
        assert await held_actions.hold(connection, held)


async def test_words_stay_only_where_the_note_stands_or_may_still(database: str) -> None:
    vault, clock = Vault(), Clock()
    async with dispatch_process(database) as process:
        host = cast("Any", Host(process))
        notes = NoteWords(host, cast("Any", vault), cast("Any", clock))
        erase = EraseUnusedNotes(host, cast("Any", vault), cast("Any", clock))
        (case,) = await process.register(report(1))

        async def keep(note: int) -> None:
            await notes.keep(UUID(int=note), case.case_id, "has rung")

        for note in (STANDS, REFUSED, TAKEN_BACK, HELD):
            await keep(note)
        done, refused = await process.ask(
            action(case.case_id, Action.NOTE, STANDS),
            action(case.case_id, Action.NOTE, REFUSED, lead="somebody else"),
        )
        assert (done.refusal, refused.refusal) == (None, "not_your_case")
        await hold(process, case, action(case.case_id, Action.NOTE, HELD))
        clock.time += UNDECIDED_FOR + timedelta(seconds=1)
        await keep(RECENT)
        await keep(STANDS)  # sent again

        vault.away = True
        await erase()
        assert {each.int for each in vault.notes} == {STANDS, REFUSED, TAKEN_BACK, HELD, RECENT}
        vault.away = False
        await erase()
        assert {each.int for each in vault.notes} == {STANDS, HELD, RECENT}
        known = await process.rows("SELECT note_id FROM undecided_note ORDER BY note_id")
        assert known == [(UUID(int=HELD),), (UUID(int=RECENT),)]
