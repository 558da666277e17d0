"""Dispatch's database goes back in time, its log does not: what it knew, it knows again."""

from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import pytest

from lastmetre.common.contracts.requests import Action
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.service.ids import IdGenerator
from lastmetre.devstack import Stack
from lastmetre.devstack.keys import SUPERUSER, Keys
from lastmetre.dispatch.application.adopt_log import LogHasGap, adopt_areas
from lastmetre.dispatch.application.finish_decisions import finish_decisions
from lastmetre.dispatch.application.network_cache import NetworkCache
from lastmetre.dispatch.application.publish_network import publish
from lastmetre.dispatch.application.register_reports import case_id_of
from tests.integration.dispatch_ledger import (
    NETWORK,
    DispatchProcess,
    action,
    dispatch_process,
    feedback,
    new_id,
    report,
)
from tests.support.city import TRACE
from tests.support.databases import fresh_database

CASES = 'SELECT * FROM "case" ORDER BY case_id'
LEDGER = "SELECT * FROM ledger ORDER BY case_id, seq"
ACTIONS = (
    "SELECT request_id, case_id, kind, refusal, seq, answered_at FROM answer"
    " WHERE kind <> 'feedback' ORDER BY request_id"
)
RATINGS = "SELECT request_id, case_id, refusal FROM answer WHERE kind = 'feedback'"
NUMBERS = "SELECT * FROM day_number ORDER BY day"
EVERYTHING = (CASES, LEDGER, ACTIONS, RATINGS, NUMBERS)


@pytest.fixture
def database(stack: Stack) -> str:
    """An empty database for dispatch."""
    return fresh_database(stack, "dispatch")


async def copied(stack: Stack, dsn: str) -> str:
    """A copy of a database that nobody is connected to, as it is now."""
    password = Keys.kept_in(stack.home.secrets).database_passwords[SUPERUSER]
    server, name = urlsplit(dsn), urlsplit(dsn).path[1:]
    connection = await asyncpg.connect(
        f"postgresql://{SUPERUSER}:{password}@{server.hostname}:{server.port}/postgres"
    )
    try:
        await connection.execute(f'CREATE DATABASE "{name}_b" TEMPLATE "{name}" OWNER dispatch')
    finally:
        await connection.close()
    return f"{dsn}_b"


async def test_the_same_cases_come_back_from_the_log(stack: Stack, database: str) -> None:
    async with dispatch_process(database) as before:
        first = await before.register(report(1), report(2), report(3))
        await before.ask(action(first[0].case_id, Action.ACCEPT, 1))
    backup = await copied(stack, database)

    late = [report(4), report(5, position=None)]
    one, two, three = (case.case_id for case in first)
    four = case_id_of(late[0].report_id)
    requests = [
        action(one, Action.RESOLVE, 2),  # closed with seq 6
        action(two, Action.ACCEPT, 3, lead="L9"),  # refused
        action(four, Action.ACCEPT, 4),
        action(three, Action.RESOLVE, 5),  # closed with seq 5
        action(four, Action.RESOLVE, 3),  # refused: that id was another's
    ]
    ratings = [
        feedback(one, 6, 6, reopen=True),
        feedback(three, 5, 7, reopen=False),
        feedback(three, 5, 8, reopen=True),  # disputed after it was rated
    ]
    async with dispatch_process(database) as live, dispatch_process(backup) as restored:
        await live.register(*late)
        await live.ask(*requests)
        await live.ask(*ratings)
        log = await live.log()
        had = [await restored.rows(statement) for statement in EVERYTHING]
        expected = [await live.rows(statement) for statement in EVERYTHING]
        assert had != expected

        known = len(await restored.log())
        # The id used again is no result, and three answers are known by their events.
        assert await restored.adopt(log) == len(log) - known - 1 - 3
        assert [await restored.rows(statement) for statement in EVERYTHING] == expected
        assert await restored.adopt(log) == 0
        assert [await restored.rows(statement) for statement in EVERYTHING] == expected
        assert await restored.rows("SELECT * FROM unfinished_decision") == []

        # What was read before the restore is read again: nothing comes of it twice.
        assert await restored.register(*(report(count) for count in range(1, 6))) == []
        told = await restored.ask(action(one, Action.ACCEPT, 1), *requests)
        assert [(each.refusal, each.seq) for each in told] == [
            (None, 3), (None, 6), ("not_your_case", 2), (None, 3), (None, 5),
            ("action_id_used", 3),
        ]  # fmt: skip
        assert [each.refusal for each in await restored.ask(*ratings)] == [None] * 3
        assert [await restored.rows(statement) for statement in EVERYTHING] == expected

        # And life goes on with numbers of its own.
        (new,) = await restored.register(report(9))
        assert new.number == "261122-0006007"


async def test_an_action_is_answered_as_before_though_only_its_events_came_to_be_in_the_log(
    stack: Stack, database: str
) -> None:
    async with dispatch_process(database) as before:
        one, two, three = (
            case.case_id for case in await before.register(report(1), report(2), report(3))
        )
    backup = await copied(stack, database)
    requests = [
        action(one, Action.ACCEPT, 1),
        action(one, Action.ARRIVE, 2),
        action(one, Action.RESOLVE, 3),
        action(two, Action.RETURN, 4, expected_seq=2, return_reason="not_my_duty"),
        action(two, Action.PLACE, 5, lead=None, expected_seq=4, area_id="A0"),
        action(two, Action.CANCEL, 6, lead=None, expected_seq=5, cancel_reason="double"),
        action(three, Action.RESOLVE, 7),
        action(three, Action.REOPEN, 8, lead=None, expected_seq=5),
    ]
    async with dispatch_process(database) as live, dispatch_process(backup) as restored:
        given = await live.ask(*requests)
        assert [each.refusal for each in given] == [None] * len(requests)
        await restored.adopt([each for each in await live.log() if each.topic == "case.events"])
        assert await restored.rows(ACTIONS) == await live.rows(ACTIONS)
        assert [(each.refusal, each.seq) for each in await restored.ask(*requests)] == [
            (None, each.seq) for each in given
        ]
        assert await restored.rows(LEDGER) == await live.rows(LEDGER)


async def test_a_decision_of_which_the_log_has_only_the_beginning_is_finished(
    stack: Stack, database: str
) -> None:
    async with dispatch_process(database):
        pass
    backup = await copied(stack, database)
    async with dispatch_process(database) as live, dispatch_process(backup) as restored:
        cases = await live.register(report(1), report(2), report(3), report(4, position=None))
        for case in cases[1:3]:
            await live.ask(action(case.case_id, Action.RESOLVE, new_id()))
        await live.ask(feedback(cases[2].case_id, 5, new_id(), reopen=True))
        log = [each for each in await live.log() if each.topic == "case.events"]
        kept = {str(case.case_id): seq for case, seq in zip(cases, (1, 3, 7, 1), strict=True)}
        cut = [each for each in log if _seq(each) <= kept[(each.key or b"").decode()]]
        await restored.adopt(cut)
        assert len(await restored.rows("SELECT * FROM unfinished_decision")) == 4
        await _finish(restored)
        types = "SELECT case_id, seq, type, occurred_at, actor_role FROM ledger ORDER BY 1, 2"
        assert await restored.rows(types) == await live.rows(types)
        assert await restored.rows(CASES) == await live.rows(CASES)
        assert await restored.rows("SELECT * FROM unfinished_decision") == []
        sent = len(await restored.log())
        assert sent == len(log) - len(cut)
        await _finish(restored)
        assert len(await restored.log()) == sent


async def _finish(process: DispatchProcess) -> None:
    async with process.batch() as work:
        await finish_decisions(work, NETWORK, TRACE)


def _seq(record: ConsumedRecord) -> int:
    return int((record.header("ce_id") or b"").decode().rpartition(":")[2])


async def test_a_gap_in_the_log_is_not_built_on(stack: Stack, database: str) -> None:
    async with dispatch_process(database):
        pass
    backup = await copied(stack, database)
    async with dispatch_process(database) as live, dispatch_process(backup) as restored:
        (case,) = await live.register(report(1))
        await live.ask(action(case.case_id, Action.ACCEPT, 1))
        events = [each for each in await live.log() if each.topic == "case.events"]
        with pytest.raises(LogHasGap, match="seq 3 follows 1"):
            await restored.adopt([each for each in events if _seq(each) != 2])
        assert await restored.rows(CASES) == []


async def test_a_feedback_has_its_id_for_itself(database: str) -> None:
    """An action that names a feedback's id, even a refused one, does not answer the feedback."""
    async with dispatch_process(database) as process:
        (case,) = await process.register(report(1))
        await process.ask(action(case.case_id, Action.RESOLVE, 1))
        (refused,) = await process.ask(action(case.case_id, Action.ACCEPT, 7))
        assert refused.refusal == "not_allowed_in_state"
        rating = feedback(case.case_id, 5, 7, reopen=True)
        for _ in range(2):
            (rated,) = await process.ask(rating)
            assert (rated.kind, rated.refusal) == ("feedback", None)
        (again,) = await process.ask(action(case.case_id, Action.ACCEPT, 7))
        assert again == refused
        types = await process.rows("SELECT type FROM ledger ORDER BY seq OFFSET 5")
        assert [each[0] for each in types] == [
            "lastmetre.case.rated.v1", "lastmetre.case.reopened.v1", "lastmetre.case.dispatched.v1",
        ]  # fmt: skip


async def test_a_network_that_was_imported_since_comes_back(stack: Stack, database: str) -> None:
    a0 = NETWORK.areas["A0"]
    a1, a2 = replace(a0, area_id="A1"), replace(a0, area_id="A2", lead=None)
    identities = IdGenerator()
    async with dispatch_process(database) as before, before.batch() as work:
        await publish(work, [a0, a1], identities)
    backup = await copied(stack, database)
    async with dispatch_process(database) as live, dispatch_process(backup) as restored:
        async with live.batch() as work:
            await publish(work, [replace(a0, lead=None), a2], identities)
        async with live.batch() as work:
            await publish(work, [replace(a0, lead=None), a1], identities)
        log = await live.log()
        # Partition by partition: the last import first, and the others' areas all the same.
        parts = [[each for each in log if each.key == key] for key in (b"A1", b"A2", b"A0")]
        for news in ([0, 0, 1], [0, 0, 0]):
            for part, new in zip(parts, news, strict=True):
                async with restored.batch() as work:
                    assert await adopt_areas(work, part) == new
                    network = await NetworkCache().current(work.connection)
            assert (network.version, network.areas) == (3, {"A0": replace(a0, lead=None), "A1": a1})


OLD_LEDGER = ("case_id", "seq", "type", "occurred_at", "recorded_at", "actor_role", "actor_id")
OLD_ANSWER = ("request_id", "case_id", "kind", "refusal", "seq", "answered_at", "meaning")


async def test_an_older_build_goes_on_beside_this_one(database: str) -> None:
    """As it writes: COPY with the columns that it knows."""
    async with dispatch_process(database) as process:
        (case,) = await process.register(report(1))
        at = case.changed_at
        entry = (case.case_id, 3, "lastmetre.case.accepted.v1", at, at, "lead", "L0")
        request = action(case.case_id, Action.ACCEPT, 1)
        async with process.pool.acquire() as connection:
            await connection.copy_records_to_table("ledger", records=[entry], columns=OLD_LEDGER)
            answer = (request.action_id, case.case_id, "accept", None, 3, at, None)
            await connection.copy_records_to_table("answer", records=[answer], columns=OLD_ANSWER)
            await connection.execute("UPDATE \"case\" SET seq = 3, state = 'accepted'")
        assert [each.seq for each in await process.ask(request)] == [3]
        (arrived,) = await process.ask(action(case.case_id, Action.ARRIVE, 2))
        assert arrived.seq == 4
        bodies = await process.rows("SELECT seq, body IS NULL FROM ledger ORDER BY seq")
        assert bodies == [(1, False), (2, False), (3, True), (4, False)]
