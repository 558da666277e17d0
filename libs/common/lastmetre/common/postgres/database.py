"""PostgreSQL: the pool, the errors that pass by themselves, and migrations under a lock."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]

log = structlog.get_logger()

COMMAND_TIMEOUT_SECONDS: Final = 60.0
ACQUIRE_TIMEOUT_SECONDS: Final = 30.0
MIGRATION_LOCK: Final = 0x6C6D0001
_FOLDERS: Final = {"common.runtime": "lastmetre.common.postgres"}
"""Databases remember the first by the name that it had before."""
_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")

# Each of these was seen when a database was killed, frozen or restarted (DESIGN, section 3).
TRANSIENT: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.QueryCanceledError,
)


def server_settings(application: str) -> dict[str, str]:
    """How every session of ours behaves.

    Plans are made for the tables as they are: one that was kept from when a table was empty reads
    all of it, batch by batch, until the statistics catch up.
    """
    return {
        "application_name": application,
        "timezone": "UTC",
        "lock_timeout": "10s",
        "idle_in_transaction_session_timeout": "60s",
        "plan_cache_mode": "force_custom_plan",
        "jit": "off",
    }


def queue_settings(application: str) -> dict[str, str]:
    """For a session that works off a queue, by keys and always with the same few statements.

    They are planned once, along the indexes and in their order, whatever the statistics say: those
    of a table that fills and empties are never right, and planning anew costs more than doing it.
    """
    return server_settings(application) | {
        "plan_cache_mode": "force_generic_plan",
        "enable_seqscan": "off",
        "enable_sort": "off",
    }


async def create_pool(
    dsn: str, *, size: int, settings: dict[str, str], for_transactions_only: bool = False
) -> "Pool":
    """A pool that does not need the database to be up yet.

    `for_transactions_only`: nothing outlives a transaction in its sessions, so that they are not
    reset, which is a round trip, each time that one is given back. The pool itself rolls back.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=size,
        command_timeout=COMMAND_TIMEOUT_SECONDS,
        server_settings=settings,
        reset=_nothing_to_reset if for_transactions_only else None,
    )


async def _nothing_to_reset(_: "Connection") -> None:
    pass


@dataclass(frozen=True)
class Migration:
    """One SQL file of a package, applied once."""

    package: str
    version: int
    sql: str


def migrations_of(package: str) -> list[Migration]:
    """The migrations in `package`'s folder `migrations`, in order."""

    def version(file: Traversable) -> int:
        match = _FILE_NAME.match(file.name)
        if match is None:
            raise ValueError(f"{package}/migrations/{file.name} is not named 0001_words.sql")
        return int(match[1])

    folder = resources.files(_FOLDERS.get(package, f"lastmetre.{package}")) / "migrations"
    files = [file for file in folder.iterdir() if file.name.endswith(".sql")]
    return sorted(
        (Migration(package, version(file), file.read_text("utf-8")) for file in files),
        key=lambda migration: migration.version,
    )


async def migrate(dsn: str, packages: Sequence[str]) -> int:
    """Apply what is missing, one process at a time; returns how many were applied."""
    connection = await asyncpg.connect(dsn, timeout=ACQUIRE_TIMEOUT_SECONDS)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", MIGRATION_LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migration (package text, version int,"
            " applied_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (package, version))"
        )
        done = {
            (row["package"], row["version"])
            for row in await connection.fetch("SELECT package, version FROM migration")
        }
        missing = [
            migration
            for package in packages
            for migration in migrations_of(package)
            if (migration.package, migration.version) not in done
        ]
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO migration (package, version) VALUES ($1, $2)",
                    migration.package,
                    migration.version,
                )
        return len(missing)
    finally:
        await connection.close()


async def migrate_when_up(dsn: str, packages: Sequence[str]) -> None:
    """Migrate as soon as the database answers; waits for it as long as it takes."""
    while True:
        try:
            applied = await migrate(dsn, packages)
        except TRANSIENT as error:
            log.warning("database is not answering yet", error=type(error).__name__)
            await asyncio.sleep(0.5)
        else:
            log.info("database is migrated", applied=applied)
            return
