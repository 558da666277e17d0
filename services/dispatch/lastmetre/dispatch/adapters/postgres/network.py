"""The network of areas and leads, replaced whole by each import."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import asyncpg

from lastmetre.common.contracts.cases import LocalName, PublishedLead
from lastmetre.dispatch.domain.network import Area

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def network_version(connection: "Connection") -> int:
    """The version that decides now; 0 before the first import."""
    version: int = await connection.fetchval("SELECT version FROM network")
    return version


async def lock_network(connection: "Connection") -> int:
    """The version, kept from changing until the transaction ends."""
    version: int = await connection.fetchval("SELECT version FROM network FOR UPDATE")
    return version


async def areas(connection: "Connection") -> list[Area]:
    """Every area with its lead."""
    rows = await connection.fetch(
        """
        SELECT a.*, l.name_zh AS lead_zh, l.name_en AS lead_en, l.post_zh, l.post_en
        FROM area a LEFT JOIN lead l USING (lead_id) ORDER BY a.area_id
        """
    )
    return [_area(row) for row in rows]


def _area(row: asyncpg.Record) -> Area:
    lead = None
    if row["lead_zh"] is not None:
        lead = PublishedLead(
            lead_id=row["lead_id"],
            name=LocalName(zh=row["lead_zh"], en=row["lead_en"]),
            post=LocalName(zh=row["post_zh"], en=row["post_en"]),
        )
    town = row["town_zh"] and LocalName(zh=row["town_zh"], en=row["town_en"])
    return Area(
        area_id=row["area_id"],
        name=LocalName(zh=row["name_zh"], en=row["name_en"]),
        town=town or None,
        outline=json.loads(row["outline"]),
        lead=lead,
    )


async def replace_network(connection: "Connection", version: int, new: Sequence[Area]) -> None:
    """Make `new` the network, under `version`."""
    await connection.execute("DELETE FROM area")
    await connection.execute("DELETE FROM lead")
    leads = {area.lead.lead_id: area.lead for area in new if area.lead}
    await connection.executemany(
        "INSERT INTO lead (lead_id, name_zh, name_en, post_zh, post_en)"
        " VALUES ($1, $2, $3, $4, $5)",
        [
            (each.lead_id, each.name.zh, each.name.en, each.post.zh, each.post.en)
            for each in leads.values()
        ],
    )
    await connection.executemany(
        "INSERT INTO area (area_id, name_zh, name_en, town_zh, town_en, outline, lead_id)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        [
            (
                a.area_id,
                a.name.zh,
                a.name.en,
                a.town.zh if a.town else None,
                a.town.en if a.town else None,
                json.dumps(a.outline),
                a.lead.lead_id if a.lead else None,
            )
            for a in new
        ],
    )
    await connection.execute("UPDATE network SET version = $1", version)


async def announced_versions(connection: "Connection", area_ids: Sequence[str]) -> dict[str, int]:
    """The version in which each of these areas was announced, or removed, last."""
    rows = await connection.fetch(
        "SELECT area_id, network_version FROM area_version WHERE area_id = ANY($1::text[])",
        area_ids,
    )
    return {row[0]: row[1] for row in rows}


async def note_announced(connection: "Connection", versions: Mapping[str, int]) -> None:
    """These areas were announced, or removed, in these versions."""
    await connection.execute(
        """
        INSERT INTO area_version AS known
        SELECT * FROM unnest($1::text[], $2::int[]) AS n (area_id, network_version) ORDER BY 1
        ON CONFLICT (area_id) DO UPDATE
            SET network_version = greatest(known.network_version, excluded.network_version)
        """,
        list(versions),
        list(versions.values()),
    )
