"""Dispatch's database goes back to before a merge or a split, and the log has one half of it.

The two halves lie in two partitions, and what of one had not been relayed is gone with the
database. Whatever is there, each report is in one case afterwards, and the audit's rule holds.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest

from lastmetre.common.contracts.requests import Action
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.devstack import Stack
from lastmetre.dispatch.application.finish_decisions import finish_decisions
from lastmetre.dispatch.application.finish_merges import finish_merges
from tests.integration.dispatch_ledger import (
    NETWORK,
    DispatchProcess,
    action,
    dispatch_process,
    new_id,
    report,
)
from tests.integration.merging import merge, names, refusals, reports_of, split, stands
from tests.support.city import TRACE
from tests.support.databases import copied_database, fresh_database

A, B, C = range(3)
BEGUN = ["registered", "dispatched"]


@pytest.fixture
def database(stack: Stack) -> str:
    """An empty database for dispatch."""
    return fresh_database(stack, "dispatch")


class Told:
    """A process whose database went back, and what the log holds of each case since."""

    def __init__(
        self, live: DispatchProcess, restored: DispatchProcess, case_ids: Sequence[UUID]
    ) -> None:
        self.live = live
        self.restored = restored
        self.case_ids = case_ids

    async def of(self, *cases: int, until_seq: int = 99) -> list[ConsumedRecord]:
        """The records of the log about these cases alone, up to that seq."""
        keys = {str(self.case_ids[each]).encode() for each in cases}
        log = await self.live.log()
        return [
            each
            for each in log
            if each.topic == CASE_EVENTS
            and each.key in keys
            and int((each.header("ce_id") or b"").decode().rpartition(":")[2]) <= until_seq
        ]

    async def adopt(self, records: Sequence[ConsumedRecord]) -> None:
        """Take in what is there, and finish what that leaves to be done, twice."""
        await self.restored.adopt(records)
        for _ in range(2):
            async with self.restored.batch() as work:
                await finish_decisions(work, NETWORK, TRACE)
            async with self.restored.batch() as work:
                await finish_merges(work, NETWORK, TRACE)
        for table in ("unfinished_decision", "unfinished_merge"):
            assert await self.restored.rows(f"SELECT * FROM {table}") == []

    async def names(self, case: int) -> list[str]:
        return await names(self.restored, self.case_ids[case])

    async def state(self, case: int) -> str:
        return str((await stands(self.restored, self.case_ids[case]))[1])

    async def together(self) -> set[frozenset[int]]:
        """Which of the three reports are in one case, by the place of their cases."""
        rows = await self.restored.pool.fetch(
            'SELECT case_id, report_id FROM "case" WHERE report_id IS NOT NULL'
        )
        place = {row[1]: self.case_ids.index(row[0]) for row in rows}
        found = await reports_of(self.restored)
        return {frozenset(place[each] for each in reports) for reports in found.values()}


@asynccontextmanager
async def going_back(
    stack: Stack, database: str, *, merged_before: bool = False
) -> AsyncIterator[Told]:
    """Three cases; `merged_before`: the second is in the first already."""
    async with dispatch_process(database) as before:
        registered = await before.register(report(1), report(2), report(3))
        case_ids = [each.case_id for each in registered]
        if merged_before:
            (done,) = await before.ask(merge(case_ids[B], case_ids[A]))
            assert done.refusal is None
    backup = await copied_database(stack, "dispatch", database)
    async with dispatch_process(database) as live, dispatch_process(backup) as restored:
        yield Told(live, restored, case_ids)


@pytest.mark.parametrize("half", [A, B])
async def test_half_a_merge_is_finished(stack: Stack, database: str, half: int) -> None:
    async with going_back(stack, database) as told:
        asked = merge(told.case_ids[B], told.case_ids[A])
        assert refusals(await told.live.ask(asked)) == [None]
        await told.adopt(await told.of(half))
        assert await told.together() == {frozenset({A, B}), frozenset({C})}
        assert await told.names(A) == [*BEGUN, "report_merged"]
        assert await told.names(B) == [*BEGUN, "merged"]
        if half == B:
            # The action is named by the event that ended the case: its answer is known by it.
            assert refusals(await told.restored.ask(asked)) == [None]


async def test_with_all_of_the_log_it_is_as_before(stack: Stack, database: str) -> None:
    async with going_back(stack, database) as told:
        asked = [
            merge(told.case_ids[B], told.case_ids[A]),
            merge(told.case_ids[A], told.case_ids[C], 3),
        ]
        assert refusals(await told.live.ask(*asked)) == [None, None]
        report_id = report(2).report_id
        assert refusals(await told.live.ask(split(told.case_ids[C], report_id, 4))) == [None]
        # One partition after the other, whichever comes first.
        for case in (C, A, B):
            await told.restored.adopt(await told.of(case))
        await told.adopt([])
        for table in ('"case" ORDER BY case_id', "ledger ORDER BY case_id, seq"):
            statement = f"SELECT * FROM {table}"
            assert await told.restored.rows(statement) == await told.live.rows(statement)


async def test_a_merge_whose_other_case_has_ended_is_undone(stack: Stack, database: str) -> None:
    async with going_back(stack, database) as told:
        merged = merge(told.case_ids[B], told.case_ids[A])
        assert refusals(await told.live.ask(merged)) == [None]
        # What was lost of the other case is decided anew, otherwise, before anybody looks.
        await told.restored.adopt(await told.of(B))
        await told.restored.ask(action(told.case_ids[A], Action.RESOLVE, new_id()))
        await told.adopt([])
        assert await told.together() == {frozenset({A}), frozenset({B}), frozenset({C})}
        assert await told.names(B) == [*BEGUN, "merged", "split", "dispatched"]


async def test_a_case_that_has_ended_otherwise_takes_its_report_back(
    stack: Stack, database: str
) -> None:
    async with going_back(stack, database) as told:
        merged = merge(told.case_ids[B], told.case_ids[A])
        assert refusals(await told.live.ask(merged)) == [None]
        await told.restored.adopt(await told.of(A))
        await told.restored.ask(action(told.case_ids[B], Action.RESOLVE, new_id()))
        await told.adopt([])
        assert await told.together() == {frozenset({A}), frozenset({B}), frozenset({C})}
        assert await told.names(A) == [*BEGUN, "report_merged", "report_split"]
        assert await told.state(B) == "closed"


@pytest.mark.parametrize("half", [A, B])
async def test_half_a_split_is_finished(stack: Stack, database: str, half: int) -> None:
    async with going_back(stack, database, merged_before=True) as told:
        report_id = report(2).report_id
        assert refusals(await told.live.ask(split(told.case_ids[A], report_id, 3))) == [None]
        await told.adopt(await told.of(half))
        assert await told.together() == {frozenset({A}), frozenset({B}), frozenset({C})}
        assert await told.names(A) == [*BEGUN, "report_merged", "report_split"]
        assert await told.names(B) == [*BEGUN, "merged", "split", "dispatched"]


async def test_a_split_of_which_only_the_first_event_is_there(stack: Stack, database: str) -> None:
    async with going_back(stack, database, merged_before=True) as told:
        report_id = report(2).report_id
        assert refusals(await told.live.ask(split(told.case_ids[A], report_id, 3))) == [None]
        await told.adopt(await told.of(B, until_seq=4))
        assert await told.names(B) == [*BEGUN, "merged", "split", "dispatched"]
        assert await told.names(A) == [*BEGUN, "report_merged", "report_split"]


@pytest.mark.parametrize("until_seq", [3, 4])
@pytest.mark.parametrize("half", [A, C])
async def test_a_case_of_two_reports_goes_along_whole(
    stack: Stack, database: str, half: int, until_seq: int
) -> None:
    async with going_back(stack, database, merged_before=True) as told:
        asked = merge(told.case_ids[A], told.case_ids[C], 3)
        assert refusals(await told.live.ask(asked)) == [None]
        await told.adopt(await told.of(half, until_seq=until_seq))
        if half == A and until_seq == 3:
            assert await told.together() == {frozenset({A, B}), frozenset({C})}
        else:
            assert await told.together() == {frozenset({A, B, C})}
            assert await told.state(A) == "merged"
