"""SQL of table `migration`: what has been applied, and who is applying now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

MIGRATION_LOCK: Final = 0x6C6D0001
_ADDED_COLUMNS: Final = {"checksum": "text", "oldest_build": "int"}


class Applied(NamedTuple):
    """A row; an older build has left the last two null."""

    package: str
    version: int
    checksum: str | None
    oldest_build: int | None


class Holder(NamedTuple):
    """A session that holds the lock of migrations."""

    pid: int
    application: str


async def provide_table(connection: "Connection") -> None:
    """Make it, or add to one of before what it lacks; locks nothing where nothing is to be done."""
    have = await _columns(connection)
    if not have:
        await connection.execute(
            "CREATE TABLE migration (package text, version int,"
            " applied_at timestamptz NOT NULL DEFAULT now(),"
            " checksum text, oldest_build int, PRIMARY KEY (package, version))"
        )
        return
    lacking = [f"ADD COLUMN {name} {kind}" for name, kind in _ADDED_COLUMNS.items()
               if name not in have]  # fmt: skip
    if lacking:
        await connection.execute(f"ALTER TABLE migration {', '.join(lacking)}")


async def applied(connection: "Connection") -> list[Applied]:
    """All rows; none where there is no table yet."""
    have = await _columns(connection)
    if not have:
        return []
    added = ", ".join(name if name in have else f"NULL AS {name}" for name in _ADDED_COLUMNS)
    rows = await connection.fetch(
        f"SELECT package, version, {added} FROM migration ORDER BY package, version"  # noqa: S608
    )
    return [Applied(*row) for row in rows]


async def fill_checksums(connection: "Connection", files: Sequence[tuple[str, int, str]]) -> None:
    """Of rows that have none, those of our files."""
    await connection.executemany(
        "UPDATE migration SET checksum = $3"
        " WHERE package = $1 AND version = $2 AND checksum IS NULL",
        files,
    )


async def note(
    connection: "Connection", package: str, version: int, checksum: str, oldest_build: int | None
) -> None:
    """It has been applied."""
    await connection.execute(
        "INSERT INTO migration (package, version, checksum, oldest_build) VALUES ($1, $2, $3, $4)",
        package,
        version,
        checksum,
        oldest_build,
    )


async def try_lock(connection: "Connection") -> bool:
    """Take the lock of migrations, which builds of before wait for; False if another has it."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1)", MIGRATION_LOCK))


async def lock_holder(connection: "Connection") -> Holder | None:
    """Who has it, as far as we may see."""
    row = await connection.fetchrow(
        """
        SELECT l.pid, coalesce(a.application_name, '') FROM pg_locks l
        LEFT JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 0 AND l.objid = $1::bigint::oid
            AND l.objsubid = 1
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """,
        MIGRATION_LOCK,
    )
    return Holder(*row) if row else None


async def _columns(connection: "Connection") -> set[str]:
    rows = await connection.fetch(
        "SELECT attname FROM pg_attribute"
        " WHERE attrelid = to_regclass('migration') AND attnum > 0 AND NOT attisdropped"
    )
    return {row["attname"] for row in rows}
