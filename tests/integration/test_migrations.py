"""Migrations on a real database: expand at start, contract when told, refusals, locks."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from random import Random

import asyncpg
import pytest
import structlog.testing

from lastmetre.common.postgres.applied_migrations import MIGRATION_LOCK
from lastmetre.common.postgres.migrate import (
    DatabaseTooNew,
    Migration,
    MigrationChanged,
    migrate,
    migration_of,
    migrations_of,
    pending,
)
from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from tests.support.commands import attempt, lastmetre
from tests.support.databases import fresh_database, migrate_in_part

CORE = "common.runtime"
MADE = migration_of("example", "0001_made.sql", "CREATE TABLE example (old int, new int);")
WIDER = migration_of("example", "0002_wider.sql", "ALTER TABLE example ADD COLUMN more int;")
NARROW = migration_of(
    "example",
    "0003_narrow.sql",
    "-- contract: oldest build 2: column old\nALTER TABLE example DROP COLUMN old;",
)
AFTER = migration_of("example", "0004_after.sql", "ALTER TABLE example ADD COLUMN last int;")


@pytest.fixture
async def database(stack: Stack) -> str:
    return await asyncio.to_thread(fresh_database, stack, "metrics")


@pytest.fixture
async def connection(database: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    opened = await asyncpg.connect(database)
    try:
        yield opened
    finally:
        await opened.close()


async def apply(database: str, *known: Migration, contract: bool = False) -> int:
    return await migrate(database, ("example",), known=known, contract=contract)


async def columns(connection: "asyncpg.Connection[asyncpg.Record]") -> set[str]:
    rows = await connection.fetch(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'example'"
    )
    return {row["column_name"] for row in rows}


async def test_rows_of_an_older_build_get_their_checksum_once(
    database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await migrate_in_part(connection, CORE, 3)
    files = migrations_of(CORE)
    assert [each.version for each in await pending(database, (CORE,))] == [
        each.version for each in files[3:]
    ]
    assert await migrate(database, (CORE,)) == len(files) - 3
    assert await migrate(database, (CORE,)) == 0
    assert await pending(database, (CORE,)) == []
    rows = await connection.fetch("SELECT version, checksum FROM migration ORDER BY version")
    assert [(row["version"], row["checksum"]) for row in rows] == [
        (each.version, each.checksum) for each in files
    ]
    # As a build of before notes what it applies.
    await connection.execute("INSERT INTO migration (package, version) VALUES ('before', 1)")
    assert await migrate(database, (CORE,)) == 0


async def test_a_dry_run_makes_nothing(
    database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    assert await pending(database, (CORE,)) == migrations_of(CORE)
    assert await connection.fetchval("SELECT to_regclass('migration')") is None


async def test_contracting_waits_until_it_is_told_and_expanding_does_not_wait_for_it(
    database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    assert await apply(database, MADE) == 1
    assert await apply(database, MADE, WIDER, NARROW, AFTER) == 2
    assert await columns(connection) == {"old", "new", "more", "last"}
    assert await apply(database, MADE, WIDER, NARROW, AFTER, contract=True) == 1
    assert await columns(connection) == {"new", "more", "last"}


async def test_a_package_that_the_database_never_held_is_made_whole_at_once(
    database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    assert await apply(database, MADE, WIDER, NARROW) == 3
    assert await columns(connection) == {"new", "more"}


async def test_only_a_build_that_is_too_old_is_refused(database: str) -> None:
    await apply(database, MADE, WIDER, NARROW, AFTER)
    assert await apply(database, MADE, WIDER) == 0
    with pytest.raises(DatabaseTooNew, match="newer than this build: migration 3 of example"):
        await apply(database, MADE)


async def test_a_file_that_was_edited_is_refused_by_name(database: str) -> None:
    await apply(database, MADE)
    with pytest.raises(MigrationChanged, match=r"example/migrations/0001_made\.sql"):
        await apply(database, replace(MADE, sql=MADE.sql + "\n"))


async def test_one_that_fails_leaves_nothing(
    database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await apply(database, MADE)
    wrong = replace(WIDER, sql=f"{WIDER.sql} SELECT 1 / 0;")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await apply(database, MADE, wrong)
    assert await columns(connection) == {"old", "new"}
    assert await apply(database, MADE, WIDER) == 1


async def test_a_table_that_is_in_use_is_tried_again_and_not_waited_for(
    database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await apply(database, MADE)
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("LOCK TABLE example IN ACCESS SHARE MODE")

    async def sleep(_: float) -> None:
        await transaction.rollback()

    with structlog.testing.capture_logs() as logs:
        assert (
            await migrate(
                database, ("example",), known=(MADE, WIDER), random=Random(1), sleep=sleep
            )
            == 1
        )
    assert [each["sqlstate"] for each in logs if "sqlstate" in each] == ["55P03"]


async def test_whoever_holds_up_the_migration_is_named(database: str) -> None:
    other = await asyncpg.connect(database, server_settings={"application_name": "hung migrator"})
    await other.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
    pid = other.get_server_pid()

    async def sleep(_: float) -> None:
        if not other.is_closed():
            await other.execute("SELECT pg_advisory_unlock($1)", MIGRATION_LOCK)
            await other.close()

    with structlog.testing.capture_logs() as logs:
        await migrate(database, ("example",), known=(MADE,), random=Random(1), sleep=sleep)
    told = [each for each in logs if "pid" in each]
    assert [(each["pid"], each["application"]) for each in told] == [(pid, "hung migrator")]


async def test_the_command_shows_what_is_pending_and_applies_it(
    stack: Stack, database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    names = [
        f"{each.package}/{each.file}" for each in (*migrations_of(CORE), *migrations_of("metrics"))
    ]
    words = ("migrate", "--service", "metrics")
    shown = await lastmetre(stack, *words, "--dry-run", code=1, METRICS_DATABASE_URL=database)
    assert [each["to_apply"] for each in shown["services"]] == [names]
    done = await lastmetre(stack, *words, METRICS_DATABASE_URL=database)
    assert [(each["applied"], each["to_apply"]) for each in done["services"]] == [(len(names), [])]
    assert (await lastmetre(stack, *words, "--dry-run", METRICS_DATABASE_URL=database))["services"][
        0
    ]["applied"] == 0
    await connection.execute("UPDATE migration SET oldest_build = 99 WHERE package = 'metrics'")
    code, _, said = await attempt(stack, *words, METRICS_DATABASE_URL=database)
    assert code == 1
    assert "newer than this build" in said
    code, _, said = await attempt(stack, "migrate", "--service", "nobody")
    assert code == 2, said


async def test_a_service_does_not_start_on_a_database_that_is_too_new(
    stack: Stack, database: str, connection: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await migrate(database, (CORE, "metrics"))
    await connection.execute("UPDATE migration SET oldest_build = 99 WHERE package = 'metrics'")
    told = json.loads((stack.home.run / "environment" / "metrics-0.json").read_text("utf-8"))
    told |= {
        "METRICS_DATABASE_URL": database,
        "METRICS_HTTP_PORT": str(free_port()),
        "METRICS_ADMIN_PORT": str(free_port()),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lastmetre.metrics",
        env={**os.environ, **{name: value for name, value in told.items() if value is not None}},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 1, said.decode()
    assert "this database is newer than this build" in said.decode()
