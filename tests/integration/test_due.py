"""The sender's search for what is due reads what it finds, not the table for each row of it."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest

from lastmetre.common.contracts.base import Language, Origin
from lastmetre.common.contracts.cases import CaseState
from lastmetre.common.postgres.database import queue_settings
from lastmetre.common.postgres.migrate import migrate
from lastmetre.devstack import Stack
from lastmetre.notify.adapters.postgres import asking, sending
from lastmetre.notify.adapters.postgres.asking import NewMessage
from lastmetre.notify.domain.case_projection import CaseProjection, MergedReport
from lastmetre.notify.domain.messages import REPORTER, SHARDS, merged_recipient
from tests.support.databases import fresh_database

CASES = 2000
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def case(number: int) -> CaseProjection:
    return CaseProjection(
        UUID(int=number), 2, 2, True, True, UUID(int=number), f"261122-{number}",
        Language.CHINESE, Origin.LIVE, "matter:06010", CaseState.DISPATCHED,
    )  # fmt: skip


def message(number: int, seq: int) -> NewMessage:
    return NewMessage(
        UUID(int=number), REPORTER, seq, number % SHARDS, "received", NOW, NOW, NOW, "", None, None
    )


@pytest.fixture
def database(stack: Stack) -> str:
    return fresh_database(stack, "notify")


async def test_a_table_that_was_analysed_while_it_was_empty(database: str) -> None:
    """Its statistics say that there is nothing to read, and plans are made by them."""
    await migrate(database, ("common.runtime", "notify"))
    connection = await asyncpg.connect(database, server_settings=queue_settings("test"))
    try:
        await connection.execute("VACUUM ANALYZE message_waiting")
        # The plans of both statements are made now, and kept.
        assert not await sending.due(connection, range(SHARDS), "", NOW, CASES)
        await asking.insert_waiting(connection, [message(0, 1)])
        await asking.insert_cases(connection, [case(number) for number in range(CASES)])
        async with connection.transaction():
            for seq in (2, 3):
                messages = [message(number, seq) for number in range(CASES)]
                await asking.insert_waiting(connection, messages)
            found = await sending.due(connection, range(SHARDS), "", NOW, CASES)
            fetched = await connection.fetchval(
                "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables"
                " WHERE relname = 'message_waiting'"
            )
        assert {(each.case_id.int, each.seq) for each in found} == {
            (number, 1 if number == 0 else 2) for number in range(CASES)
        }
        print(f"{fetched / CASES:.1f} rows read for each message")
        assert fetched < 40 * CASES
    finally:
        await connection.close()


async def test_a_message_behind_one_that_was_put_off_waits_along(database: str) -> None:
    await migrate(database, ("common.runtime", "notify"))
    later = NOW + timedelta(minutes=5)
    connection = await asyncpg.connect(database, server_settings=queue_settings("test"))
    try:
        await asking.insert_cases(connection, [case(1), case(2)])
        await asking.insert_waiting(connection, [message(1, 2), message(2, 2)])
        await sending.claim(
            connection, "sink", await sending.due(connection, range(SHARDS), "", NOW, 1)
        )
        (held,) = await connection.fetch(
            "SELECT case_id, recipient, seq, attempts FROM message_waiting"
            " WHERE sending_by IS NOT NULL"
        )
        key = held["case_id"], held["recipient"], held["seq"]
        await sending.reschedule(connection, [(key, held["attempts"], "busy", later)])
        await asking.insert_waiting(connection, [message(1, 3), message(2, 3)])
        waits = await connection.fetch("SELECT case_id, not_before FROM message_waiting")
        assert sorted((row["case_id"] == held["case_id"], row["not_before"]) for row in waits) == [
            (False, NOW), (False, NOW), (True, later), (True, later),
        ]  # fmt: skip
    finally:
        await connection.close()


async def test_a_message_to_who_joined_is_about_his_own_report_also_when_that_has_left(
    database: str,
) -> None:
    await migrate(database, ("common.runtime", "notify"))
    connection = await asyncpg.connect(database, server_settings=queue_settings("test"))
    joined = MergedReport(UUID(int=77), Language.ENGLISH, Origin.LIVE, reporter_reachable=True)
    try:
        await asking.insert_cases(connection, [case(1)._replace(merged=(joined,))])
        waiting = message(1, 3)._replace(recipient=merged_recipient(joined.report_id))
        await asking.insert_waiting(connection, [message(1, 3), waiting])
        known = (await asking.known_cases(connection, [UUID(int=1)]))[UUID(int=1)]
        assert known.merged == (joined,)
        before = await sending.due(connection, range(SHARDS), "", NOW, CASES)
        await asking.update_cases(connection, [known._replace(merged=())])
        after = await sending.due(connection, range(SHARDS), "", NOW, CASES)
    finally:
        await connection.close()
    assert {(each.report_id, each.language) for each in before} == {
        (UUID(int=1), "zh"), (UUID(int=77), "en"),
    }  # fmt: skip
    assert {each.report_id for each in after} == {UUID(int=1), UUID(int=77)}
