"""Every column that holds something sealed."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

RowVersion = tuple[int, int]
"""PostgreSQL's `ctid`: another one as soon as anything of the row is changed."""


class SealedColumn(NamedTuple):
    """A column, the SQL for what its values belong to, and which rows have one."""

    table: str
    column: str
    owner: str
    condition: str = "true"


VAULT: Final = SealedColumn("vault", "sealed", "report_id")
LEADS: Final = SealedColumn("lead_contact", "sealed", "lead_id")
NOTES: Final = SealedColumn("case_note", "sealed", "note_id")
PHOTOS: Final = SealedColumn("photo", "sealed", "photo_id")
CONFLICTS: Final = SealedColumn("later_record", "sealed", "report_id")
_PLACE: Final = 'ARRAY[topic, partition::text, "offset"::text, appended_at::text]'
DEAD_LETTERS: Final = (
    SealedColumn("dead_letter", "value", _PLACE),
    SealedColumn("dead_letter", "corrected_value", _PLACE),
    SealedColumn("parked", "value", _PLACE, "sealed"),
)
CODES: Final = SealedColumn("staff_user", "codes_sealed", "subject")
COLUMNS: Final = (VAULT, LEADS, NOTES, PHOTOS, CODES, CONFLICTS, *DEAD_LETTERS)


class SealedValue(NamedTuple):
    """A value, what it belongs to, and the version of its row."""

    version: RowVersion
    owner: UUID | str | list[str]
    """A report, a lead, a note, a photo, or a record: topic, partition, offset, append time."""
    sealed: bytes


async def values(connection: "Connection", of: SealedColumn) -> AsyncIterator[SealedValue]:
    """All values of a column as they are now. To be called in a transaction."""
    rows = connection.cursor(
        f"SELECT ctid, {of.owner}, {of.column} FROM {of.table}"  # noqa: S608 - our own names
        f" WHERE {of.column} IS NOT NULL AND {of.condition}",
        prefetch=500,
    )
    async for row in rows:
        yield SealedValue(row[0], row[1], row[2])


async def replace(
    connection: "Connection", of: SealedColumn, changes: Sequence[tuple[SealedValue, bytes]]
) -> int:
    """Put other values in place of these, where nobody has changed the row; returns how many."""
    status = await connection.execute(
        f"UPDATE {of.table} AS t SET {of.column} = n.sealed"  # noqa: S608 - our own names
        " FROM unnest($1::tid[], $2::bytea[], $3::bytea[]) AS n(version, was, sealed)"
        f" WHERE t.ctid = n.version AND t.{of.column} = n.was",
        [value.version for value, _ in changes],
        [value.sealed for value, _ in changes],
        [sealed for _, sealed in changes],
    )
    return int(status.rpartition(" ")[2])


async def begins_so(connection: "Connection", head: bytes, except_for: Sequence[bytes]) -> bool:
    """Whether another value of a report, a lead or a note begins with these bytes."""
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (SELECT 1 FROM
            (SELECT sealed FROM vault UNION ALL SELECT sealed FROM lead_contact
             UNION ALL SELECT sealed FROM case_note) AS kept
            WHERE substr(sealed, 1, length($1::bytea)) = $1::bytea
                AND sealed <> ALL($2::bytea[]))
        """,
        head,
        except_for,
    )
    return found


async def beginning_otherwise(
    connection: "Connection", head: bytes, except_for: Sequence[bytes], limit: int
) -> list[tuple[UUID | str, bytes]]:
    """Other values of reports, leads and notes that do not begin so: what they belong to, value."""
    found: list[tuple[UUID | str, bytes]] = []
    for table, _, owner, _ in (VAULT, LEADS, NOTES):
        rows = await connection.fetch(
            f"SELECT {owner}, sealed FROM {table}"  # noqa: S608
            " WHERE substr(sealed, 1, length($1::bytea)) <> $1::bytea"
            f" AND sealed <> ALL($2::bytea[]) ORDER BY {owner} DESC LIMIT $3",
            head,
            except_for,
            limit,
        )
        found += [(row[0], row[1]) for row in rows]
    return found
