"""What is counted beside the cases: reports, messages, and the areas as published."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import asyncpg

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class Report(NamedTuple):
    """A report that was accepted or rejected."""

    report_id: UUID
    channel: str
    origin: str
    reported_day: date
    accepted: bool
    reasons: Sequence[str]


class Message(NamedTuple):
    """A message and what became of it. `day` is the local day of the result."""

    message_id: UUID
    day: date
    recipient: str
    provider: str | None
    result: str


class Area(NamedTuple):
    """An area as published. `outline` is GeoJSON text."""

    area_id: str
    name_zh: str
    name_en: str
    lead_id: str | None
    lead_name_zh: str | None
    lead_name_en: str | None
    outline: str
    network_version: int


async def add_reports(connection: "Connection", reports: Sequence[Report]) -> None:
    """Keep reports; one that is known already changes nothing."""
    await connection.execute(
        """
        INSERT INTO report (report_id, channel, origin, reported_day, accepted, reasons)
        SELECT report_id, channel, origin, reported_day, accepted, string_to_array(reasons, ' ')
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::date[], $5::boolean[], $6::text[])
            AS r(report_id, channel, origin, reported_day, accepted, reasons)
        ORDER BY report_id ON CONFLICT DO NOTHING
        """,
        *_columns([(*report[:-1], " ".join(report.reasons)) for report in reports]),
    )


async def add_messages(connection: "Connection", messages: Sequence[Message]) -> None:
    """Keep results of messages; one that is known already changes nothing."""
    await connection.execute(
        """
        INSERT INTO message (message_id, day, recipient, provider, result)
        SELECT * FROM unnest($1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[]) AS m(id)
        ORDER BY id ON CONFLICT DO NOTHING
        """,
        *_columns(messages),
    )


async def put_areas(connection: "Connection", areas: Sequence[Area]) -> None:
    """Areas as they stand now; an older version of the network changes nothing."""
    await connection.execute(
        """
        INSERT INTO area (area_id, name_zh, name_en, lead_id, lead_name_zh, lead_name_en,
                          outline, network_version)
        SELECT a.id, zh, en, lead, lead_zh, lead_en, outline::jsonb, version
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                    $7::text[], $8::int[])
            AS a(id, zh, en, lead, lead_zh, lead_en, outline, version)
        WHERE NOT EXISTS (SELECT FROM area_removal r WHERE r.area_id = a.id
            AND r.network_version >= version)
        ORDER BY a.id
        ON CONFLICT (area_id) DO UPDATE SET
            (name_zh, name_en, lead_id, lead_name_zh, lead_name_en, outline, network_version)
            = (excluded.name_zh, excluded.name_en, excluded.lead_id, excluded.lead_name_zh,
               excluded.lead_name_en, excluded.outline, excluded.network_version)
        WHERE area.network_version <= excluded.network_version
        """,
        *_columns(areas),
    )


async def areas(connection: "Connection") -> list[asyncpg.Record]:
    """Every area with its names, without the outline."""
    return await connection.fetch(
        "SELECT area_id, name_zh, name_en, lead_id, lead_name_zh, lead_name_en FROM area"
        " ORDER BY area_id"
    )


async def outlines(connection: "Connection") -> list[asyncpg.Record]:
    """Every area's outline, GeoJSON text."""
    return await connection.fetch(
        "SELECT area_id, outline::text AS outline FROM area ORDER BY area_id"
    )


async def network_state(connection: "Connection") -> str:
    """Changes whenever an area does."""
    state: str = await connection.fetchval(
        "SELECT count(*) || '/' || coalesce(sum(hashtextextended(area_id || network_version, 0)),"
        " 0) FROM area"
    )
    return state


def _columns(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return list(zip(*rows, strict=True))
