"""Migrations: numbered SQL files of a package, applied once, one process at a time."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

import asyncpg
import structlog

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS

log = structlog.get_logger()

MIGRATION_LOCK: Final = 0x6C6D0001
_FOLDERS: Final = {"common.runtime": "lastmetre.common.postgres"}
"""Databases remember the first by the name that it had before."""
_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")


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
        except DATABASE_ERRORS as error:
            log.warning("database is not answering yet", error=type(error).__name__)
            await asyncio.sleep(0.5)
        else:
            log.info("database is migrated", applied=applied)
            return
