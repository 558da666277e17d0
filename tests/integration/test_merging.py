"""Cases that are merged, and reports split off again: on dispatch's own database.

Orders are forced by a lock on the row that both of two commands need.
"""

import asyncio
from itertools import permutations
from typing import Any, Final
from uuid import UUID

import asyncpg
import pytest

from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.cases import CaseMerged, CaseSplit, ReportMerged
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.devstack import Stack
from lastmetre.dispatch.adapters.postgres.results import CommandResult
from tests.integration.dispatch_ledger import (
    DispatchProcess,
    action,
    dispatch_process,
    new_id,
    report,
)
from tests.integration.merging import (
    SEEN,
    ledger,
    merge,
    names,
    refusals,
    reports_of,
    split,
    stands,
)
from tests.support.city import eventually
from tests.support.databases import fresh_database


@pytest.fixture
def database(stack: Stack) -> str:
    """An empty database for dispatch."""
    return fresh_database(stack, "dispatch")


async def in_order(
    process: DispatchProcess, database: str, held: UUID, *requests: ActionRequested
) -> list[CommandResult]:
    """The results of requests that wait for the same row, each in a transaction of its own."""
    holder = await asyncpg.connect(database)
    tasks: list[asyncio.Task[list[CommandResult]]] = []
    try:
        async with holder.transaction():
            await holder.execute('SELECT 1 FROM "case" WHERE case_id = $1 FOR UPDATE', held)
            for request in requests:
                tasks.append(asyncio.create_task(process.ask(request)))
                await eventually(lambda: _waiting(process, len(tasks)))
    finally:
        await holder.close()
    return [result for results in await asyncio.gather(*tasks) for result in results]


async def _waiting(process: DispatchProcess, count: int) -> bool:
    found = await process.pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    return bool(found == count)


async def test_a_case_is_merged_and_its_report_split_off_again(database: str) -> None:
    async with dispatch_process(database) as process:
        own = report(2, language=Language.ENGLISH, sub_channel="wechat", position=None)
        a, b = await process.register(report(1), own)
        asked = merge(b.case_id, a.case_id)
        results = await process.ask(asked)
        assert [(each.refusal, each.case_id, each.seq) for each in results] == [
            (None, b.case_id, 3)
        ]
        assert await stands(process, a.case_id) == (3, "dispatched", True, 1)
        assert await stands(process, b.case_id) == (3, "merged", False, 0)
        ended, joined = (await ledger(process, b.case_id))[-1], await ledger(process, a.case_id)
        assert isinstance(ended, CaseMerged)
        assert (ended.into_case_id, ended.report_ids) == (a.case_id, (b.report_id,))
        assert (ended.action_id, ended.reason) == (asked.action_id, "said_in_report")
        assert isinstance(joined[-1], ReportMerged)
        facts = own.model_dump(include={"report_id", "channel", "sub_channel", "language"})
        assert joined[-1].model_dump(include=set(facts)) == facts
        assert joined[-1].previous_case_id == b.case_id

        # The same again is answered the same; something else under its id is not done.
        other = asked.model_copy(update={"into_case_id": b.case_id})
        again = await process.ask(asked, other)
        assert [(each.refusal, each.seq) for each in again] == [(None, 3), ("action_id_used", 3)]
        assert await names(process, a.case_id) == ["registered", "dispatched", "report_merged"]

        (left,) = await process.ask(split(a.case_id, b.report_id, 3))
        assert (left.refusal, left.seq) == (None, 4)
        assert await stands(process, a.case_id) == (4, "dispatched", True, 0)
        # It had waited for the command centre, and does so for the same reason.
        assert await stands(process, b.case_id) == (5, "unplaced", True, 0)
        back = (await ledger(process, b.case_id))[3]
        assert isinstance(back, CaseSplit)
        assert (back.from_case_id, back.actor) == (a.case_id, asked.actor)
        assert refusals(await process.ask(action(a.case_id, Action.RESOLVE, new_id()))) == [None]
        assert refusals(await process.ask(merge(b.case_id, a.case_id, 5))) == ["into_case_not_open"]
        assert (await stands(process, b.case_id))[0] == 5, "it keeps its own case"


@pytest.mark.parametrize(
    ("more", "refusal"),
    [
        ({"into_case_id": None}, "into_case_missing"),
        ({"into_case_id": UUID(int=5)}, "into_case_unknown"),
        ({"into_expected_seq": None}, "expected_seq_missing"),
        ({"expected_seq": None}, "expected_seq_missing"),
        ({"expected_seq": 1}, "case_has_moved_on"),
        ({"correction_reason": None}, "reason_missing"),
        ({"into_expected_seq": 1}, "into_case_has_moved_on"),
    ],
)
async def test_a_merge_says_what_was_seen(
    database: str, more: dict[str, Any], refusal: str
) -> None:
    async with dispatch_process(database) as process:
        a, b = await process.register(report(1), report(2))
        kind = action(
            a.case_id, Action.CHANGE_CATEGORY, new_id(), lead=None, expected_seq=2,
            category="matter:06011", correction_reason="said_in_report",
        )  # fmt: skip
        assert refusals(await process.ask(kind)) == [None]
        assert refusals(await process.ask(merge(a.case_id, a.case_id, 3))) == [
            "into_case_is_the_same"
        ]
        asked = merge(b.case_id, a.case_id, into_expected_seq=3)
        assert refusals(await process.ask(asked.model_copy(update=more))) == [refusal]
        assert await stands(process, a.case_id) == (3, "dispatched", True, 0)
        assert await stands(process, b.case_id) == (2, "dispatched", True, 0)


async def test_what_is_no_correction_of_the_other_case_is_in_no_ones_way(database: str) -> None:
    async with dispatch_process(database) as process:
        a, b = await process.register(report(1), report(2))
        accepted = action(a.case_id, Action.ACCEPT, new_id())
        assert refusals(await process.ask(accepted, merge(b.case_id, a.case_id))) == [None, None]
        assert await names(process, a.case_id) == [
            "registered", "dispatched", "accepted", "report_merged",
        ]  # fmt: skip


@pytest.mark.parametrize("batches", [False, True], ids=["one batch", "batches"])
async def test_merging_is_commutative(database: str, batches: bool) -> None:
    """Into one case, and one after the other: the same reports are in the same case."""
    async with dispatch_process(database) as process:
        for number, order in enumerate(permutations(range(3))):
            a, b, c, d = await process.register(
                *(report(4 * number + each) for each in range(1, 5))
            )
            pairs = [(b, a), (c, a), (d, c)]
            asked: list[ActionRequested] = []
            for place in order:
                case, into = pairs[place]
                # Whose reports go on has a report more by then.
                seq = 3 if case is c and order.index(2) < order.index(1) else SEEN
                asked.append(merge(case.case_id, into.case_id, seq))
            groups = [[each] for each in asked] if batches else [asked]
            results = [each for group in groups for each in await process.ask(*group)]
            every = {each.report_id for each in (a, b, c, d)}
            found = await reports_of(process)
            if order.index(1) < order.index(2):
                # The case that `d` was to join has ended: it is told so, and goes where that went.
                assert refusals(results) == [
                    "into_case_not_open" if each == 2 else None for each in order
                ]
                assert found[d.case_id] == {d.report_id}
                assert refusals(await process.ask(merge(d.case_id, a.case_id))) == [None]
                found = await reports_of(process)
            else:
                assert refusals(results) == [None] * 3
            assert found[a.case_id] == every


RESOLVED: Final = ["resolved", "verified", "closed"]


@pytest.mark.parametrize("merge_first", [True, False])
@pytest.mark.parametrize("flipped", [True, False])
async def test_merge_and_close(database: str, merge_first: bool, flipped: bool) -> None:
    """Of the case that the reports are to join: it joins before, or is told that it is too late."""
    async with dispatch_process(database) as process:
        cases = await process.register(report(1), report(2))
        a, b = sorted(cases, key=lambda each: each.case_id, reverse=flipped)
        merging = merge(b.case_id, a.case_id)
        closing = action(a.case_id, Action.RESOLVE, new_id())
        pair = [merging, closing] if merge_first else [closing, merging]
        results = await in_order(process, database, a.case_id, *pair)
        begun = ["registered", "dispatched"]
        if merge_first:
            assert refusals(results) == [None, None]
            assert await names(process, a.case_id) == [*begun, "report_merged", *RESOLVED]
            assert await stands(process, b.case_id) == (3, "merged", False, 0)
        else:
            assert refusals(results) == [None, "into_case_not_open"]
            assert await names(process, a.case_id) == [*begun, *RESOLVED]
            assert await stands(process, b.case_id) == (2, "dispatched", True, 0)
        await reports_of(process)


@pytest.mark.parametrize("merge_first", [True, False])
async def test_merge_and_close_of_the_case_that_is_to_end(database: str, merge_first: bool) -> None:
    async with dispatch_process(database) as process:
        a, b = await process.register(report(1), report(2))
        pair = [merge(b.case_id, a.case_id), action(b.case_id, Action.RESOLVE, new_id())]
        results = await in_order(
            process, database, b.case_id, *(pair if merge_first else reversed(pair))
        )
        late = "not_allowed_in_state" if merge_first else "case_has_moved_on"
        assert refusals(results) == [None, late]
        assert (await stands(process, a.case_id))[3] == int(merge_first)
        await reports_of(process)


@pytest.mark.parametrize("turned", [True, False])
async def test_two_merges_into_one_case(database: str, turned: bool) -> None:
    async with dispatch_process(database) as process:
        a, b, c = await process.register(report(1), report(2), report(3))
        pair = [merge(b.case_id, a.case_id), merge(c.case_id, a.case_id)]
        results = await in_order(
            process, database, a.case_id, *(reversed(pair) if turned else pair)
        )
        assert refusals(results) == [None, None]
        assert await reports_of(process) == {
            a.case_id: {each.report_id for each in (a, b, c)}
        }  # fmt: skip


@pytest.mark.parametrize("turned", [True, False])
async def test_one_case_is_merged_into_two(database: str, turned: bool) -> None:
    async with dispatch_process(database) as process:
        a, b, c = await process.register(report(1), report(2), report(3))
        pair = [merge(b.case_id, a.case_id), merge(b.case_id, c.case_id)]
        results = await in_order(
            process, database, b.case_id, *(reversed(pair) if turned else pair)
        )
        assert refusals(results) == [None, "case_has_moved_on"]
        first = c if turned else a
        assert (await reports_of(process))[first.case_id] == {first.report_id, b.report_id}


@pytest.mark.parametrize("turned", [True, False])
async def test_each_into_the_other(database: str, turned: bool) -> None:
    """No circle: the first is done, the second told that the case has moved on. No deadlock."""
    async with dispatch_process(database) as process:
        a, b = await process.register(report(1), report(2))
        pair = [merge(a.case_id, b.case_id), merge(b.case_id, a.case_id)]
        results = await in_order(
            process,
            database,
            min(a.case_id, b.case_id),
            *(reversed(pair) if turned else pair),
        )
        assert refusals(results) == [None, "case_has_moved_on"]
        goes_on = a if turned else b
        assert await reports_of(process) == {goes_on.case_id: {a.report_id, b.report_id}}
        # Who has seen what happened is told the same.
        late = merge(goes_on.case_id, (b if turned else a).case_id, 3, into_expected_seq=3)
        assert refusals(await process.ask(late)) == ["into_case_not_open"]


@pytest.mark.parametrize("split_first", [True, False])
async def test_split_and_the_parts_first_step(database: str, split_first: bool) -> None:
    async with dispatch_process(database) as process:
        a, b = await process.register(report(1), report(2))
        await process.ask(merge(b.case_id, a.case_id))
        pair = [split(a.case_id, b.report_id, 3), action(b.case_id, Action.ACCEPT, new_id())]
        results = await in_order(
            process, database, b.case_id, *(pair if split_first else reversed(pair))
        )
        begun = ["registered", "dispatched", "merged", "split", "dispatched"]
        if split_first:
            assert refusals(results) == [None, None]
            assert await names(process, b.case_id) == [*begun, "accepted"]
        else:
            assert refusals(results) == ["not_allowed_in_state", None]
            assert await names(process, b.case_id) == begun
        await reports_of(process)


@pytest.mark.parametrize("split_first", [True, False])
async def test_split_and_a_further_merge(database: str, split_first: bool) -> None:
    """A report leaves a case while that goes into another: it leaves, or goes along."""
    async with dispatch_process(database) as process:
        a, b, c = await process.register(report(1), report(2), report(3))
        await process.ask(merge(b.case_id, a.case_id))
        pair = [split(a.case_id, b.report_id, 3), merge(a.case_id, c.case_id, 3)]
        results = await in_order(
            process, database, a.case_id, *(pair if split_first else reversed(pair))
        )
        assert refusals(results) == [None, "case_has_moved_on"]
        found = await reports_of(process)
        if split_first:
            assert found[b.case_id] == {b.report_id}
        else:
            assert found[c.case_id] == {each.report_id for each in (a, b, c)}
            assert refusals(await process.ask(split(c.case_id, b.report_id, 4))) == [None]
            assert await stands(process, b.case_id) == (5, "dispatched", True, 0)
            await reports_of(process)
