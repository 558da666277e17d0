"""Reports, the records they came with, and the vault's rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class RecordPosition(NamedTuple):
    """Where a record stands: its topic, partition, offset and append time (milliseconds)."""

    topic: str
    partition: int
    offset: int
    appended_at: int


class NewReport(NamedTuple):
    """A row of `report`, in the order of its columns; `reasons` joined by commas."""

    report_id: UUID
    identity: bytes
    sender: str
    channel: str
    source_id: str
    fingerprint: bytes
    outcome: str
    reasons: str
    origin: str
    category: str
    reported_at: datetime
    latitude: float | None
    longitude: float | None
    sent_position: str | None
    topic: str
    partition: int
    offset: int
    appended_at: int


class KnownReport(NamedTuple):
    """The report that counts for an identity, and the record it came with."""

    report_id: UUID
    fingerprint: bytes | None
    """None where the contents are missing."""
    place: RecordPosition


class DuplicateRecord(NamedTuple):
    """A record that came after the first of its identity; `sealed` holds a conflict's body."""

    place: RecordPosition
    report_id: UUID
    outcome: str
    sealed: bytes | None


async def insert(connection: "Connection", reports: Sequence[NewReport]) -> set[bytes]:
    """Insert those whose identity is new, in its order; returns their identities."""
    in_order = sorted(reports, key=lambda report: report.identity)
    rows = await connection.fetch(
        """
        INSERT INTO report
            (report_id, identity, sender, channel, source_id, fingerprint, outcome, reasons, origin,
             category, reported_at, latitude, longitude, sent_position, topic, partition, "offset",
             appended_at)
        SELECT report_id, identity, sender, channel, source_id, fingerprint, outcome,
            string_to_array(reasons, ','), origin, category, reported_at, latitude, longitude,
            sent_position::jsonb, topic, partition, "offset", appended_at
        FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bytea[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::float8[],
            $13::float8[], $14::text[], $15::text[], $16::int[], $17::bigint[], $18::bigint[])
            AS new (report_id, identity, sender, channel, source_id, fingerprint, outcome, reasons,
             origin, category, reported_at, latitude, longitude, sent_position, topic, partition,
             "offset", appended_at)
        ON CONFLICT (identity) DO NOTHING
        RETURNING identity
        """,
        *zip(*in_order, strict=True),
    )
    return {row[0] for row in rows}


async def kept(connection: "Connection", identities: Sequence[bytes]) -> dict[bytes, KnownReport]:
    """The reports that these identities have already."""
    rows = await connection.fetch(
        """
        SELECT identity, report_id, fingerprint, topic, partition, "offset", appended_at
        FROM report WHERE identity = ANY($1::bytea[])
        """,
        identities,
    )
    return {row[0]: KnownReport(row[1], row[2], RecordPosition(*row[3:7])) for row in rows}


async def without_contents(
    connection: "Connection", identities: Sequence[bytes]
) -> dict[bytes, KnownReport]:
    """Those of these that are known from the log alone, whose contents are missing."""
    rows = await connection.fetch(
        """
        SELECT identity, report_id, fingerprint, topic, partition, "offset", appended_at
        FROM report WHERE identity = ANY($1::bytea[]) AND contents_missing
        """,
        identities,
    )
    return {row[0]: KnownReport(row[1], row[2], RecordPosition(*row[3:7])) for row in rows}


async def fill_in(connection: "Connection", reports: Sequence[NewReport]) -> None:
    """What the record says of reports that were known from the log alone."""
    await connection.executemany(
        """
        UPDATE report SET contents_missing = false, sender = $2, source_id = $3, fingerprint = $4,
            category = $5, latitude = $6, longitude = $7, sent_position = $8::jsonb
        WHERE report_id = $1
        """,
        [
            (r.report_id, r.sender, r.source_id, r.fingerprint, r.category, r.latitude, r.longitude,
             r.sent_position)
            for r in reports
        ],
    )  # fmt: skip


class AdoptedReport(NamedTuple):
    """A report that the log alone knows: a row of `report` without its contents."""

    report_id: UUID
    identity: bytes
    channel: str
    outcome: str
    reasons: str
    origin: str
    category: str
    reported_at: datetime
    topic: str
    partition: int
    offset: int
    appended_at: int


async def adopt(connection: "Connection", reports: Sequence[AdoptedReport]) -> int:
    """Insert those that are not known; returns how many were not."""
    rows = await connection.fetch(
        """
        INSERT INTO report (report_id, identity, channel, outcome, reasons, origin, category,
            reported_at, topic, partition, "offset", appended_at, contents_missing)
        SELECT report_id, identity, channel, outcome, string_to_array(reasons, ','), origin,
            category, reported_at, topic, partition, "offset", appended_at, true
        FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::text[], $8::timestamptz[], $9::text[], $10::int[], $11::bigint[], $12::bigint[])
            AS new (report_id, identity, channel, outcome, reasons, origin, category, reported_at,
                topic, partition, "offset", appended_at)
        ON CONFLICT DO NOTHING RETURNING 1
        """,
        *zip(*reports, strict=True),
    )
    return len(rows)


async def insert_later(connection: "Connection", records: Sequence[DuplicateRecord]) -> None:
    """Note records that did not count; one that was noted before changes nothing."""
    await connection.execute(
        """
        INSERT INTO later_record
            (topic, partition, "offset", appended_at, report_id, outcome, sealed)
        SELECT * FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[], $5::uuid[],
            $6::text[], $7::bytea[])
        ON CONFLICT DO NOTHING
        """,
        [record.place.topic for record in records],
        [record.place.partition for record in records],
        [record.place.offset for record in records],
        [record.place.appended_at for record in records],
        [record.report_id for record in records],
        [record.outcome for record in records],
        [record.sealed for record in records],
    )


async def insert_vault(connection: "Connection", rows: Sequence[tuple[UUID, bytes]]) -> None:
    """Keep what is sealed for new reports."""
    await connection.copy_records_to_table("vault", records=rows, columns=("report_id", "sealed"))


async def sealed_of(connection: "Connection", report_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """What the vault holds of these reports."""
    rows = await connection.fetch(
        "SELECT report_id, sealed FROM vault WHERE report_id = ANY($1::uuid[])", report_ids
    )
    return {row[0]: row[1] for row in rows}


class Found(NamedTuple):
    """What became of one identity."""

    identity: bytes
    report_id: UUID
    outcome: str
    reasons: list[str]
    case_id: UUID | None
    number: str | None
    seq: int | None
    types: list[str] | None
    """Of the case's events, in order."""
    lead_id: str | None


async def look_up(connection: "Connection", identities: Sequence[bytes]) -> list[Found]:
    """Reports of these identities with the cases they became."""
    rows = await connection.fetch(
        """
        SELECT r.identity, r.report_id, r.outcome, r.reasons, c.case_id, c.number, c.seq, t.types,
            t.lead_ids[1]
        FROM report r LEFT JOIN case_view c USING (report_id) LEFT JOIN LATERAL (
            SELECT array_agg(e->>1 ORDER BY (e->>0)::int) AS types,
                array_agg(e->4->'lead'->>'lead_id' ORDER BY (e->>0)::int DESC)
                    FILTER (WHERE e->>1 IN ('dispatched', 'reassigned', 'unplaced')) AS lead_ids
            FROM timeline, json_array_elements(events) AS e
            WHERE timeline.case_id = c.case_id) t ON true
        WHERE r.identity = ANY($1::bytea[])
        """,
        identities,
    )
    return [Found(*row) for row in rows]


async def note_look(
    connection: "Connection", report_id: UUID, actor: str, asked_by: str, now: datetime
) -> None:
    """Log that somebody looked at a contact."""
    await connection.execute(
        "INSERT INTO contact_look (report_id, actor, asked_by, looked_at) VALUES ($1, $2, $3, $4)",
        report_id,
        actor,
        asked_by,
        now,
    )
