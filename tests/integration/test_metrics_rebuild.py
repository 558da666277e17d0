"""Rebuilding beside the running service: the same facts, and none lost on the way."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from lastmetre.common.postgres.migrate import migrations_of
from lastmetre.devstack import Stack
from tests.support.city import MetricsAlone
from tests.support.city.scenarios import World
from tests.support.databases import fresh_database, migrate_in_part

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FACTS = "SELECT md5(string_agg(f::text, ',' ORDER BY case_id)) FROM fact f"
SIZE = 1200
REBUILDS = 2


@pytest.fixture(scope="module")
def database(stack: Stack) -> str:
    return fresh_database(stack, "metrics")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def metrics_city(
    stack: Stack, database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[MetricsAlone]:
    """One running metrics for all of them: each test adds cases of its own."""
    city = MetricsAlone(
        stack.endpoints.bootstrap_servers, database, tmp_path_factory.mktemp("metrics")
    )
    async with city.running() as metrics:
        await metrics.start()
        yield metrics


async def counted(city: MetricsAlone) -> tuple[int, int]:
    """Cases and events that there are."""
    connection = await asyncpg.connect(city.database_url)
    [row] = await connection.fetch("SELECT count(*), coalesce(sum(seq), 0) FROM fact")
    await connection.close()
    return row[0], row[1]


async def test_verify_names_what_differs_and_rebuild_mends_it(metrics_city: MetricsAlone) -> None:
    world = World(seed=6, size=60)
    ledger = world.ledger()
    _, events = await counted(metrics_city)
    await metrics_city.tell(*ledger)
    await metrics_city.until("SELECT sum(seq) FROM fact", events + len(ledger))
    wrong, gone = (each.case_id for each in world.scenarios[:2])
    added = UUID(int=1)
    connection = await asyncpg.connect(metrics_city.database_url)
    await connection.execute("UPDATE fact SET returns = 99 WHERE case_id = $1", wrong)
    await connection.execute("DELETE FROM fact WHERE case_id = $1", gone)
    await connection.execute(
        "CREATE TEMP TABLE copied AS SELECT * FROM fact WHERE case_id = $1", wrong
    )
    await connection.execute("UPDATE copied SET case_id = $1", added)
    await connection.execute("INSERT INTO fact SELECT * FROM copied")

    code, document = await metrics_city.rebuild("--verify")
    assert code == 1
    assert set(document["differing_cases"]) == {str(wrong), str(gone), str(added)}
    told = {each["case_id"]: each for each in document["differences"]}
    assert told[str(wrong)]["fields"] == ["returns"]
    assert told[str(gone)]["live_seq"] is None
    assert told[str(added)]["rebuilt_seq"] is None

    code, _ = await metrics_city.rebuild()
    assert code == 0
    code, document = await metrics_city.rebuild("--verify")
    assert (code, document["differing_cases"]) == (0, [])
    await connection.close()


async def test_no_two_rebuilds_at_once(metrics_city: MetricsAlone) -> None:
    connection = await asyncpg.connect(metrics_city.database_url)
    assert await connection.fetchval("SELECT pg_try_advisory_lock($1)", 0x6C6D_0002)
    code, document = await metrics_city.rebuild()
    assert (code, document) == (1, {})
    await connection.close()


async def test_a_reader_keeps_its_rights(metrics_city: MetricsAlone) -> None:
    connection = await asyncpg.connect(metrics_city.database_url)
    owner = await connection.fetchval("SELECT current_user")
    # Any role will do that exists everywhere and is not the owner.
    await connection.execute("GRANT SELECT ON fact TO pg_monitor")
    assert owner != "pg_monitor"
    code, _ = await metrics_city.rebuild()
    assert code == 0
    assert await connection.fetchval("SELECT has_table_privilege('pg_monitor', 'fact', 'SELECT')")
    await connection.close()


SHAPE = """
    SELECT 'table' AS kind, coalesce(array_to_string(reloptions, ','), '') AS name, '' AS definition
    FROM pg_class WHERE oid = 'fact'::regclass
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE tablename = 'fact'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = 'fact'::regclass
    UNION ALL SELECT 'column', attname, format_type(atttypid, atttypmod) || attnotnull
    FROM pg_attribute WHERE attrelid = 'fact'::regclass AND attnum > 0
    ORDER BY 1, 2
"""


async def test_a_rebuilt_table_is_made_as_the_live_one(metrics_city: MetricsAlone) -> None:
    connection = await asyncpg.connect(metrics_city.database_url)
    before = await connection.fetch(SHAPE)
    assert {"fillfactor=60", "fact_pkey", "fact_reported_day_idx"} <= {row[1] for row in before}
    for _ in range(2):
        code, _ = await metrics_city.rebuild()
        assert code == 0
        assert await connection.fetch(SHAPE) == before
    await connection.close()


async def test_what_an_earlier_build_left_behind_is_put_right(stack: Stack) -> None:
    connection = await asyncpg.connect(await asyncio.to_thread(fresh_database, stack, "metrics"))
    await migrate_in_part(connection, "metrics", 1)
    before = await connection.fetch(SHAPE)
    await connection.execute(
        "CREATE TABLE fact_shadow (LIKE fact INCLUDING ALL); DROP TABLE fact;"
        "ALTER TABLE fact_shadow RENAME TO fact"
    )
    assert await connection.fetch(SHAPE) != before
    for _ in range(2):
        await connection.execute(migrations_of("metrics")[1].sql)
        assert await connection.fetch(SHAPE) == before
    await connection.close()


async def test_readers_wait_for_the_exchange_alone(metrics_city: MetricsAlone) -> None:
    """Somebody reads the facts for long: the rebuild does not make others wait behind it."""
    connection = await asyncpg.connect(metrics_city.database_url)
    other = await asyncpg.connect(metrics_city.database_url)
    async with connection.transaction():
        await connection.fetch("SELECT count(*) FROM fact")
        rebuilding = asyncio.create_task(metrics_city.rebuild())
        waits = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'metrics-rebuild'"
            " AND wait_event_type = 'Lock' AND datname = current_database()"
        )
        await metrics_city.until(waits, 1)
        await other.execute("SET statement_timeout = '20s'")
        assert await other.fetchval("SELECT count(*) >= 0 FROM fact")
        assert not rebuilding.done()
    assert (await rebuilding)[0] == 0
    await other.close()
    await connection.close()


async def test_rebuild_equals_live_while_events_keep_coming(metrics_city: MetricsAlone) -> None:
    world = World(seed=5, size=SIZE)
    ledger = world.ledger()
    cases, events = await counted(metrics_city)
    await metrics_city.start()
    await metrics_city.tell(*ledger[: len(ledger) // 2])

    rest = [ledger[at : at + 20] for at in range(len(ledger) // 2, len(ledger), 20)]

    through = asyncio.Event()
    told = events + len(ledger) // 2

    async def keep_sending() -> None:
        # As fast as they are counted. Some are left to send until the rebuilds are through,
        # however slow the machine is.
        nonlocal told
        for number, part in enumerate(rest, 1):
            if number == len(rest):
                await through.wait()
            await metrics_city.tell(*part)
            told += len(part)
            await metrics_city.until("SELECT sum(seq) FROM fact", told)

    sending = asyncio.create_task(keep_sending())
    for _ in range(REBUILDS):
        code, _ = await metrics_city.rebuild("--verify")
        assert code == 0
        code, document = await metrics_city.rebuild()
        assert (code, document["ok"]) == (0, True)
    through.set()
    await sending
    cases, events = cases + SIZE, events + len(ledger)
    await metrics_city.until("SELECT sum(seq) FROM fact", events)
    connection = await asyncpg.connect(metrics_city.database_url)
    live = await connection.fetchval(FACTS)
    code, document = await metrics_city.rebuild()
    assert (code, document["cases"], document["events"]) == (0, cases, events)
    assert await connection.fetchval(FACTS) == live
    assert await connection.fetchval("SELECT count(*) FROM dead_letter") == 0
    assert await connection.fetchval("SELECT count(*) FROM parked") == 0
    await connection.close()
