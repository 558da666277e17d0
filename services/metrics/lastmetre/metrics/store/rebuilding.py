"""A second table of facts beside the live one: made, filled, compared, put in its place."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import UUID

from lastmetre.metrics.domain.fact import Fact
from lastmetre.metrics.store.facts import COLUMNS, TABLE

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

REBUILD_TABLE: Final = "fact_shadow"
_LOCK: Final = 0x6C6D_0002
_ROW: Final = ", ".join(COLUMNS)


async def begin(connection: "Connection") -> bool:
    """Make an empty rebuild table; False if another rebuild is at work in this database."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        return False
    await discard(connection)
    await connection.execute(f"CREATE TABLE {REBUILD_TABLE} (LIKE {TABLE} INCLUDING ALL)")
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


async def lock_consumers(connection: "Connection", flow: str, topic: str) -> None:
    """Keep the flow's batches out until this transaction ends.

    The position rows first, as the batches do. A batch that is the first of its partition has no
    row to wait for: it waits for the table, or has it already and we wait for the batch.
    """
    await connection.execute(
        "SELECT 1 FROM position WHERE flow = $1 AND topic = $2"
        " ORDER BY topic, partition FOR UPDATE",
        flow,
        topic,
    )
    await connection.execute(f"LOCK TABLE {TABLE} IN ACCESS EXCLUSIVE MODE")


async def swap(connection: "Connection", flow: str) -> None:
    """Put the rebuilt table in place of the live one; who might read that one may read it."""
    readers = await connection.fetch(
        "SELECT DISTINCT acl.grantee::regrole::text AS role, acl.privilege_type AS privilege"
        " FROM pg_class c, aclexplode(c.relacl) acl"
        " WHERE c.oid = $1::text::regclass AND acl.grantee NOT IN (0, c.relowner)",
        TABLE,
    )
    await connection.execute(f"DROP TABLE {TABLE}")
    await connection.execute(f"ALTER TABLE {REBUILD_TABLE} RENAME TO {TABLE}")
    for row in readers:
        await connection.execute(f"GRANT {row['privilege']} ON {TABLE} TO {row['role']}")
    # What waited for an event that the rebuild could read has had its turn.
    await connection.execute(
        f"DELETE FROM parked p USING {TABLE} f"  # noqa: S608
        " WHERE p.flow = $1 AND p.key = f.case_id AND p.seq <= f.seq",
        flow,
    )


class Difference(NamedTuple):
    """A case whose live fact is not what its ledger says. None: there is no such fact."""

    case_id: UUID
    live: Fact | None
    rebuilt: Fact | None

    @property
    def fields(self) -> list[str]:
        """What differs; empty if one of the two is missing."""
        if self.live is None or self.rebuilt is None:
            return []
        pairs = zip(Fact._fields, self.live, self.rebuilt, strict=True)
        return [name for name, live, rebuilt in pairs if live != rebuilt]


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
