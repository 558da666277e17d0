"""Migrations: numbered SQL files of a package, applied once, one process at a time.

Old and new builds share a database during a roll-out, so a change takes two files:

- `NNNN_words.sql` expands: builds that do not know it go on beside it. Services apply it at start.
- A file that begins with `-- contract: oldest build N: what it removes` takes away what builds
  older than this package's migration N still need. It is applied by `lastmetre migrate --contract`,
  once no older build runs; at start only to a package that the database has never held.
  An expanding file must work whether or not the contracting ones before it have been applied.

Table `migration` keeps for each file its checksum, for what was applied must not be edited, and
`oldest_build`, so that a build can read that this database is newer than it is. Builds of before
insert (package, version) only: both columns are nullable, and a checksum is filled in once.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from random import Random
from typing import TYPE_CHECKING, Final

import asyncpg
import structlog

from lastmetre.common.postgres.applied_migrations import (
    Applied,
    applied,
    fill_checksums,
    lock_holder,
    note,
    provide_table,
    try_lock,
)
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

LOCK_TIMEOUT: Final = "3s"
"""Whoever waits for a table's lock makes all others wait behind it: give up, and try again."""
TRIES: Final = 8
BACKOFF_SECONDS: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
TOLD_EVERY_TRIES: Final = 20
RETRY_SECONDS: Final = 0.5
_FOLDERS: Final = {"common.runtime": "lastmetre.common.postgres"}
"""Databases remember the first by the name that it had before."""
_FILE_NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
_CONTRACT = re.compile(r"^-- contract: oldest build (\d{1,4}): \S.*$")

Sleep = Callable[[float], Awaitable[None]]


class MigrationRefused(Exception):
    """This build and this database do not go together; trying again does not help."""


class DatabaseTooNew(MigrationRefused):
    """A migration has removed what this build needs."""


class MigrationChanged(MigrationRefused):
    """A file is not the one that was applied."""


@dataclass(frozen=True)
class Migration:
    """One SQL file of a package, applied once. `oldest_build` is None where it only expands."""

    package: str
    version: int
    sql: str
    file: str = ""
    oldest_build: int | None = None

    @property
    def checksum(self) -> str:
        """SHA-256 of the file, in hex."""
        return sha256(self.sql.encode()).hexdigest()

    @property
    def contracts(self) -> bool:
        """Whether it removes what an older build needs."""
        return self.oldest_build is not None


def migration_of(package: str, file: str, sql: str) -> Migration:
    """The migration in a file; raises ValueError for a name or a first line that is wrong."""
    name = _FILE_NAME.match(file)
    if name is None:
        raise ValueError(f"{package}/migrations/{file} is not named 0001_words.sql")
    version, first_line = int(name[1]), sql.partition("\n")[0]
    if not first_line.lower().startswith("-- contract"):
        return Migration(package, version, sql, file)
    contract = _CONTRACT.match(first_line)
    if contract is None or not 0 < int(contract[1]) <= version:
        raise ValueError(
            f"{package}/migrations/{file}: the first line is not"
            f" '-- contract: oldest build N: what it removes', N from 1 to {version}"
        )
    return Migration(package, version, sql, file, int(contract[1]))


def migrations_of(package: str) -> list[Migration]:
    """The migrations in `package`'s folder `migrations`, in order."""
    folder: Traversable = resources.files(_FOLDERS.get(package, f"lastmetre.{package}"))
    files = [each for each in (folder / "migrations").iterdir() if each.name.endswith(".sql")]
    return sorted(
        (migration_of(package, each.name, each.read_text("utf-8")) for each in files),
        key=lambda migration: migration.version,
    )


def check(known: Sequence[Migration], found: Sequence[Applied]) -> None:
    """Raise MigrationRefused if the build with these files must not work on that database."""
    files = {(each.package, each.version): each for each in known}
    newest = {each.package: each.version for each in sorted(known, key=lambda each: each.version)}
    for row in found:
        if row.package not in newest:
            continue
        if (row.oldest_build or 0) > newest[row.package]:
            raise DatabaseTooNew(
                f"this database is newer than this build: migration {row.version} of {row.package}"
                f" needs builds with migration {row.oldest_build}, the newest here is"
                f" {newest[row.package]}"
            )
        file = files.get((row.package, row.version))
        if file and row.checksum and row.checksum != file.checksum:
            raise MigrationChanged(
                f"{file.package}/migrations/{file.file} is not the file that was applied:"
                " write a new migration instead of editing one"
            )


def missing(known: Sequence[Migration], found: Sequence[Applied]) -> list[Migration]:
    """Those that have not been applied, in order."""
    done = {(row.package, row.version) for row in found}
    return [each for each in known if (each.package, each.version) not in done]


async def pending(dsn: str, packages: Sequence[str]) -> list[Migration]:
    """What has not been applied, contracting ones too; changes nothing. Raises MigrationRefused."""
    known = _known(packages)
    async with _connection(dsn, packages) as connection:
        found = await applied(connection)
    check(known, found)
    return missing(known, found)


async def migrate(
    dsn: str,
    packages: Sequence[str],
    *,
    contract: bool = False,
    known: Sequence[Migration] | None = None,
    random: Random | None = None,
    sleep: Sleep = asyncio.sleep,
) -> int:
    """Apply what is missing, one process at a time; returns how many were applied.

    Contracting files only if `contract`, or where the database has never held the package.
    Raises MigrationRefused, and DATABASE_ERRORS when a table stays locked.
    """
    files = _known(packages) if known is None else known
    pause = _Pause(random or Random(), sleep)
    async with _connection(dsn, packages) as connection:
        await _lock(connection, pause)
        await pause.until_not_locked(lambda: provide_table(connection))
        found = await applied(connection)
        check(files, found)
        await fill_checksums(
            connection, [(each.package, each.version, each.checksum) for each in files]
        )
        held = {row.package for row in found}
        wanted = [
            each
            for each in missing(files, found)
            if contract or not each.contracts or each.package not in held
        ]
        for migration in wanted:
            await _apply(connection, migration, pause)
    return len(wanted)


async def migrate_when_up(dsn: str, packages: Sequence[str]) -> None:
    """Migrate as soon as the database answers; waits for it as long as it takes.

    Raises MigrationRefused, which is for a person: the process ends by it.
    """
    while True:
        try:
            count = await migrate(dsn, packages)
        except DATABASE_ERRORS as error:
            log.warning("database cannot be migrated yet", error=type(error).__name__)
            await asyncio.sleep(RETRY_SECONDS)
        except MigrationRefused as error:
            log.critical("this build and this database do not go together", reason=str(error))
            raise
        else:
            log.info("database is migrated", applied=count)
            return


class _Pause:
    """How long to wait before another try: longer each time, and never two alike."""

    def __init__(self, random: Random, sleep: Sleep) -> None:
        self._random = random
        self._sleep = sleep

    async def after(self, attempt: int) -> None:
        """Wait after the attempt of that number, from 0."""
        seconds = BACKOFF_SECONDS[min(attempt, len(BACKOFF_SECONDS) - 1)]
        await self._sleep(seconds * (0.5 + self._random.random()))

    async def until_not_locked(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, several times if a lock cannot be had."""
        for attempt in range(TRIES):
            try:
                return await work()
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                log.warning(
                    "a table is locked, migration waits", attempt=attempt, sqlstate=error.sqlstate
                )
                if attempt == TRIES - 1:
                    raise
                await self.after(attempt)
        return None


async def _apply(connection: "Connection", migration: Migration, pause: _Pause) -> None:
    async def once() -> None:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await note(
                connection,
                migration.package,
                migration.version,
                migration.checksum,
                migration.oldest_build,
            )

    file = f"{migration.package}/{migration.file}"
    try:
        await pause.until_not_locked(once)
    except asyncpg.PostgresError as error:
        log.error("a migration did not go through", file=file, sqlstate=error.sqlstate)
        raise
    log.info("migration applied", file=file)


async def _lock(connection: "Connection", pause: _Pause) -> None:
    """One migrator at a time. Tried, not waited for, so that who holds it up can be named."""
    attempt = 0
    while not await try_lock(connection):
        if attempt % TOLD_EVERY_TRIES == 0 and (holder := await lock_holder(connection)):
            log.warning(
                "another process migrates, this one waits",
                pid=holder.pid,
                application=holder.application,
            )
        await pause.after(attempt)
        attempt += 1


@asynccontextmanager
async def _connection(dsn: str, packages: Sequence[str]) -> AsyncIterator["Connection"]:
    connection = await asyncpg.connect(
        dsn,
        timeout=ACQUIRE_TIMEOUT_SECONDS,
        server_settings={
            "application_name": f"{packages[-1]} migrate",
            "timezone": "UTC",
            "lock_timeout": LOCK_TIMEOUT,
            "statement_timeout": "0",
        },
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=ACQUIRE_TIMEOUT_SECONDS)


def _known(packages: Sequence[str]) -> list[Migration]:
    return [migration for package in packages for migration in migrations_of(package)]
