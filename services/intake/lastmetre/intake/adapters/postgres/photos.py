"""Which photos there are, and which objects of the photo store nobody needs any more."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class NewPhoto(NamedTuple):
    """A row of `photo`, without its place among those of its report."""

    photo_id: UUID
    identity: bytes
    object: UUID
    sealed: bytes
    width: int
    height: int
    kept_at: datetime


class KeptPhoto(NamedTuple):
    """A photo of a report; sizes in pixels."""

    photo_id: UUID
    width: int
    height: int


class Holding(NamedTuple):
    """What stands with a report's identity."""

    is_kept: bool
    """The photo that was asked for."""
    photos: int
    erased: bool
    """The report is there, and what was personal of it is not."""


async def holding(connection: "Connection", identity: bytes, photo_id: UUID) -> Holding:
    """What is there of this photo, and of its report."""
    row = await connection.fetchrow(
        """
        SELECT EXISTS (SELECT FROM photo WHERE photo_id = $2),
            (SELECT count(*) FROM photo WHERE identity = $1),
            EXISTS (SELECT FROM report r LEFT JOIN vault v USING (report_id)
                WHERE r.identity = $1 AND v.report_id IS NULL)
        """,
        identity,
        photo_id,
    )
    assert row is not None
    return Holding(*row)


async def announce(connection: "Connection", photo_object: UUID, now: datetime) -> None:
    """Note an object that is about to be written, so that it is deleted if it comes to nothing."""
    await connection.execute(
        "INSERT INTO unused_photo_object (object, unused_since) VALUES ($1, $2)", photo_object, now
    )


async def keep(connection: "Connection", photo: NewPhoto, most: int) -> bool:
    """Keep a photo; False where it is kept already, its report has `most` of them or was erased, or
    another one has come at the same moment."""
    kept: bool = await connection.fetchval(
        """
        WITH of_report AS (SELECT report_id FROM report WHERE identity = $2),
            alive AS (SELECT v.report_id FROM vault v JOIN of_report USING (report_id)
                FOR SHARE OF v),
            others AS (SELECT count(*) AS count, coalesce(max(place), 0) + 1 AS next
                FROM photo WHERE identity = $2),
            kept AS (
                INSERT INTO photo (photo_id, identity, object, sealed, width, height, kept_at,
                    place)
                SELECT $1, $2, $3, $4, $5, $6, $7, others.next FROM others
                WHERE others.count < $8
                    AND (EXISTS (SELECT FROM alive) OR NOT EXISTS (SELECT FROM of_report))
                ON CONFLICT DO NOTHING RETURNING object),
            used AS (DELETE FROM unused_photo_object WHERE object IN (SELECT object FROM kept))
        SELECT EXISTS (SELECT FROM kept)
        """,
        *photo,
        most,
    )
    return kept


async def of_identity(connection: "Connection", identity: bytes) -> list[KeptPhoto]:
    """The photos of a report, as they came."""
    rows = await connection.fetch(
        "SELECT photo_id, width, height FROM photo WHERE identity = $1 ORDER BY place", identity
    )
    return [KeptPhoto(*row) for row in rows]


async def sealed_of(
    connection: "Connection", identity: bytes, photo_id: UUID
) -> tuple[UUID, bytes] | None:
    """Object and sealed key of a photo of this report."""
    row = await connection.fetchrow(
        "SELECT object, sealed FROM photo WHERE photo_id = $2 AND identity = $1",
        identity,
        photo_id,
    )
    return (row[0], row[1]) if row else None


async def forget(connection: "Connection", report_ids: Sequence[UUID]) -> None:
    """Erase the photos of these reports: without their keys nobody can read what the store has of
    them, and it is deleted there next."""
    await connection.execute(
        """
        WITH gone AS (DELETE FROM photo WHERE identity IN
            (SELECT identity FROM report WHERE report_id = ANY($1::uuid[])) RETURNING object)
        INSERT INTO unused_photo_object (object, unused_since) SELECT object, '-infinity' FROM gone
        """,
        report_ids,
    )


async def forget_without_report(connection: "Connection", before: datetime) -> int:
    """Erase photos that came before then and whose report never came; how many."""
    status = await connection.execute(
        """
        WITH gone AS (DELETE FROM photo p WHERE kept_at < $1
            AND NOT EXISTS (SELECT FROM report r WHERE r.identity = p.identity) RETURNING object)
        INSERT INTO unused_photo_object (object, unused_since) SELECT object, '-infinity' FROM gone
        """,
        before,
    )
    return int(status.rpartition(" ")[2])


async def unused(connection: "Connection", before: datetime, limit: int) -> list[UUID]:
    """Objects that nobody has needed since then."""
    rows = await connection.fetch(
        "SELECT object FROM unused_photo_object WHERE unused_since < $1 ORDER BY object LIMIT $2",
        before,
        limit,
    )
    return [row[0] for row in rows]


async def deleted(connection: "Connection", objects: Sequence[UUID]) -> None:
    """They are gone from the store."""
    await connection.execute(
        "DELETE FROM unused_photo_object WHERE object = ANY($1::uuid[])", objects
    )
