"""A second table of facts beside the live one: made, filled, compared, put in its place."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg

from lastmetre.metrics.adapters.postgres.facts import COLUMNS, TABLE
from lastmetre.metrics.domain.fact import Difference, Fact

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

REBUILD_TABLE: Final = "fact_shadow"
_LOCK: Final = 0x6C6D_0002
_ROW: Final = ", ".join(COLUMNS)


@asynccontextmanager
async def connected(database_url: str) -> "AsyncIterator[Connection]":
    """A connection of its own, for as long as a rebuild takes."""
    connection = await asyncpg.connect(
        database_url,
        timeout=30,
        server_settings={"application_name": "metrics-rebuild", "timezone": "UTC"},
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


async def begin(connection: "Connection") -> bool:
    """Make an empty rebuild table; False if another rebuild is at work in this database."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        return False
    await discard(connection)
    await connection.execute(f"CREATE TABLE {REBUILD_TABLE} (LIKE {TABLE} INCLUDING ALL)")
    # LIKE leaves out the storage parameters.
    options = await connection.fetchval(
        "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = $1::text::regclass",
        TABLE,
    )
    if options:
        await connection.execute(f"ALTER TABLE {REBUILD_TABLE} SET ({options})")
    return True


async def discard(connection: "Connection") -> None:
    """Drop the rebuild table, if there is one."""
    await connection.execute(f"DROP TABLE IF EXISTS {REBUILD_TABLE}")


async def positions(connection: "Connection", flow: str, topic: str) -> dict[int, int]:
    """The next offset of each partition that the live facts stand at."""
    rows = await connection.fetch(
        "SELECT partition, next_offset FROM position WHERE flow = $1 AND topic = $2", flow, topic
    )
    return {row["partition"]: row["next_offset"] for row in rows}


async def wait_for_locks(connection: "Connection", at_most: str) -> None:
    """Until this transaction ends, a lock that takes longer (`5s`) raises LockNotAvailableError."""
    await connection.execute("SELECT set_config('lock_timeout', $1, true)", at_most)


async def lock_consumers(connection: "Connection", flow: str, topic: str) -> None:
    """Keep the flow's batches out until this transaction ends; reading the facts goes on.

    But for a batch that is the first of its partition: it has no row to wait for.
    """
    await connection.execute(
        "SELECT 1 FROM position WHERE flow = $1 AND topic = $2"
        " ORDER BY topic, partition FOR UPDATE",
        flow,
        topic,
    )


async def lock_facts(connection: "Connection") -> None:
    """Keep everybody from the live table until this transaction ends, after `lock_consumers`: in
    the order of the batches."""
    await connection.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")


async def swap(connection: "Connection", flow: str) -> None:
    """Put the rebuilt table in place of the live one; who might read that one may read it."""
    readers = await connection.fetch(
        "SELECT DISTINCT acl.grantee::regrole::text AS role, acl.privilege_type AS privilege"
        " FROM pg_class c, aclexplode(c.relacl) acl"
        " WHERE c.oid = $1::text::regclass AND acl.grantee NOT IN (0, c.relowner)",
        TABLE,
    )
    names = {row["definition"]: row["name"] for row in await _indexes(connection)}
    await connection.execute(f"DROP TABLE {TABLE}")
    await connection.execute(f"ALTER TABLE {REBUILD_TABLE} RENAME TO {TABLE}")
    for row in await _indexes(connection):
        # Migrations to come name them.
        await connection.execute(
            f'ALTER INDEX "{row["name"]}" RENAME TO "{names[row["definition"]]}"'
        )
    for row in readers:
        await connection.execute(f"GRANT {row['privilege']} ON {TABLE} TO {row['role']}")
    # What waited for an event that the rebuild could read has had its turn.
    await connection.execute(
        f"DELETE FROM parked p USING {TABLE} f"  # noqa: S608
        " WHERE p.flow = $1 AND p.key = f.case_id AND p.seq <= f.seq",
        flow,
    )


async def _indexes(connection: "Connection") -> list[asyncpg.Record]:
    """The live table's indexes: each one's name, and its definition without names."""
    return await connection.fetch(
        "SELECT c.relname AS name, regexp_replace(pg_get_indexdef(i.indexrelid),"
        " '^CREATE (UNIQUE )?INDEX .* ON \\S+ USING', '\\1') AS definition"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = $1::text::regclass ORDER BY 1",
        TABLE,
    )


async def differences(connection: "Connection") -> list[UUID]:
    """The cases of which the live and the rebuilt table say different things."""
    rows = await connection.fetch(
        f"SELECT case_id FROM {TABLE} l FULL JOIN {REBUILD_TABLE} s USING (case_id)"  # noqa: S608
        f" WHERE ({_columns('l')}) IS DISTINCT FROM ({_columns('s')}) ORDER BY case_id"
    )
    return [row["case_id"] for row in rows]


def _columns(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in COLUMNS)


async def both(connection: "Connection", case_ids: Sequence[UUID]) -> list[Difference]:
    """The live and the rebuilt facts of these cases."""
    live, rebuilt = (
        await _facts(connection, TABLE, case_ids),
        await _facts(connection, REBUILD_TABLE, case_ids),
    )
    return [Difference(each, live.get(each), rebuilt.get(each)) for each in case_ids]


async def _facts(
    connection: "Connection", table: str, case_ids: Sequence[UUID]
) -> Mapping[UUID, Fact]:
    rows: list[Any] = await connection.fetch(
        f"SELECT {_ROW} FROM {table} WHERE case_id = ANY($1::uuid[])",  # noqa: S608
        case_ids,
    )
    return {row["case_id"]: Fact(*row) for row in rows}


async def size(connection: "Connection") -> int:
    """How many cases the rebuilt table has."""
    cases: int = await connection.fetchval(f"SELECT count(*) FROM {REBUILD_TABLE}")  # noqa: S608
    return cases
