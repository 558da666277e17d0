"""Reports, the records they came with, and the vault's rows."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.case_model import PLACING_NAMES
from lastmetre.intake.adapters.postgres.cases import CASE_OF_REPORT

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
    read_by: str | None


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
             appended_at, read_by)
        SELECT report_id, identity, sender, channel, source_id, fingerprint, outcome,
            string_to_array(reasons, ','), origin, category, reported_at, latitude, longitude,
            sent_position::jsonb, topic, partition, "offset", appended_at, read_by
        FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bytea[],
            $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::float8[],
            $13::float8[], $14::text[], $15::text[], $16::int[], $17::bigint[], $18::bigint[],
            $19::text[])
            AS new (report_id, identity, sender, channel, source_id, fingerprint, outcome, reasons,
             origin, category, reported_at, latitude, longitude, sent_position, topic, partition,
             "offset", appended_at, read_by)
        ON CONFLICT (identity) DO NOTHING
        RETURNING identity
        """,
        *zip(*in_order, strict=True),
    )
    return {row[0] for row in rows}


async def known(connection: "Connection", identities: Sequence[bytes]) -> dict[bytes, KnownReport]:
    """The reports that these identities have already."""
    rows = await connection.fetch(
        """
        SELECT identity, report_id, fingerprint, topic, partition, "offset", appended_at
        FROM report WHERE identity = ANY($1::bytea[])
        """,
        identities,
    )
    return {row[0]: KnownReport(row[1], row[2], RecordPosition(*row[3:7])) for row in rows}


class ReportOrigin(NamedTuple):
    """Who sent a report, and under which id."""

    channel: str
    sender: str
    source_id: str


async def origin_of(connection: "Connection", report_id: UUID) -> ReportOrigin | None:
    """Where a report came from; None while its contents are missing."""
    row = await connection.fetchrow(
        "SELECT channel, sender, source_id FROM report"
        " WHERE report_id = $1 AND NOT contents_missing",
        report_id,
    )
    return ReportOrigin(*row) if row else None


async def fill_in(connection: "Connection", reports: Sequence[NewReport]) -> None:
    """What the record says of reports that were known from the log alone.

    Of a rejected report the log tells neither category nor position.
    """
    await connection.execute(
        """
        UPDATE report r SET contents_missing = false, sender = f.sender, source_id = f.source_id,
            fingerprint = f.fingerprint, sent_position = f.sent_position::jsonb,
            category = CASE r.outcome WHEN 'rejected' THEN f.category ELSE r.category END,
            latitude = CASE r.outcome WHEN 'rejected' THEN f.latitude ELSE r.latitude END,
            longitude = CASE r.outcome WHEN 'rejected' THEN f.longitude ELSE r.longitude END
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[],
            $7::float8[], $8::float8[]) AS f (report_id, sender, source_id, fingerprint,
            sent_position, category, latitude, longitude)
        WHERE r.report_id = f.report_id
        """,
        [each.report_id for each in reports],
        [each.sender for each in reports],
        [each.source_id for each in reports],
        [each.fingerprint for each in reports],
        [each.sent_position for each in reports],
        [each.category for each in reports],
        [each.latitude for each in reports],
        [each.longitude for each in reports],
    )


async def conflicts(connection: "Connection", report_ids: Sequence[UUID]) -> list[DuplicateRecord]:
    """Records that are noted as conflicts with these reports."""
    rows = await connection.fetch(
        """
        SELECT topic, partition, "offset", appended_at, report_id, outcome, sealed
        FROM later_record WHERE report_id = ANY($1::uuid[]) AND outcome = 'conflict'
        """,
        report_ids,
    )
    return [DuplicateRecord(RecordPosition(*row[:4]), row[4], row[5], row[6]) for row in rows]


async def conflicts_were_repetitions(
    connection: "Connection", places: Sequence[RecordPosition]
) -> None:
    """The contents that count are back: these records say the same."""
    await connection.execute(
        """
        UPDATE later_record l SET outcome = 'repeated', sealed = NULL
        FROM unnest($1::text[], $2::int[], $3::bigint[], $4::bigint[])
            AS p (topic, partition, "offset", appended_at)
        WHERE (l.topic, l.partition, l."offset", l.appended_at)
            = (p.topic, p.partition, p."offset", p.appended_at)
        """,
        *zip(*places, strict=True),
    )


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
    latitude: float | None
    longitude: float | None
    topic: str
    partition: int
    offset: int
    appended_at: int
    read_by: str | None


async def known_ids(connection: "Connection", report_ids: Sequence[UUID]) -> set[UUID]:
    """Those of these reports that are here."""
    rows = await connection.fetch(
        "SELECT report_id FROM report WHERE report_id = ANY($1::uuid[])", report_ids
    )
    return {row[0] for row in rows}


async def adopt(connection: "Connection", reports: Sequence[AdoptedReport]) -> set[UUID]:
    """Insert reports that are not here; returns those whose identity was not here either."""
    rows = await connection.fetch(
        """
        INSERT INTO report (report_id, identity, channel, outcome, reasons, origin, category,
            reported_at, latitude, longitude, topic, partition, "offset", appended_at,
            read_by, contents_missing)
        SELECT report_id, identity, channel, outcome, string_to_array(reasons, ','), origin,
            category, reported_at, latitude, longitude, topic, partition, "offset", appended_at,
            read_by, true
        FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::text[],
            $7::text[], $8::timestamptz[], $9::float8[], $10::float8[], $11::text[], $12::int[],
            $13::bigint[], $14::bigint[], $15::text[])
            AS new (report_id, identity, channel, outcome, reasons, origin, category, reported_at,
                latitude, longitude, topic, partition, "offset", appended_at, read_by)
        ON CONFLICT (identity) DO NOTHING RETURNING report_id
        """,
        *zip(*reports, strict=True),
    )
    return {row[0] for row in rows}


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


async def reading_of(connection: "Connection", report_id: UUID) -> tuple[str | None, int]:
    """What read a report, and how many records with other contents came after it."""
    row = await connection.fetchrow(
        """
        SELECT read_by, (SELECT count(*) FROM later_record l
            WHERE l.report_id = r.report_id AND l.outcome = 'conflict')
        FROM report r WHERE report_id = $1
        """,
        report_id,
    )
    return (row[0], row[1]) if row else (None, 0)


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
        f"""
        SELECT r.identity, r.report_id, r.outcome, r.reasons, c.case_id, c.number, c.seq, t.types,
            t.lead_ids[1]
        FROM report r {CASE_OF_REPORT} LEFT JOIN LATERAL (
            SELECT array_agg(e->>1 ORDER BY (e->>0)::int) AS types,
                array_agg(e->4->'lead'->>'lead_id' ORDER BY (e->>0)::int DESC)
                    FILTER (WHERE e->>1 = ANY($2::text[])) AS lead_ids
            FROM timeline, json_array_elements(events) AS e
            WHERE timeline.case_id = c.case_id) t ON true
        WHERE r.identity = ANY($1::bytea[])
        """,  # noqa: S608
        identities,
        list(PLACING_NAMES),
    )
    return [Found(*row) for row in rows]


async def note_contacts_read(
    connection: "Connection", report_ids: Iterable[UUID], actor: str, asked_by: str, now: datetime
) -> None:
    """Log that somebody reads the contacts of these reports."""
    await connection.execute(
        "INSERT INTO contact_look (report_id, actor, asked_by, looked_at)"
        " SELECT report_id, $2, $3, $4 FROM unnest($1::uuid[]) AS of (report_id)",
        sorted(report_ids),
        actor,
        asked_by,
        now,
    )
