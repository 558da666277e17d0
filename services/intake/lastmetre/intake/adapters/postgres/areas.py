"""The network of areas as dispatch publishes it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic_core import from_json, to_json

from lastmetre.common.contracts.network import AreaPublished

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def put(connection: "Connection", areas: Sequence[AreaPublished]) -> None:
    """Keep areas as they stand now; an older version than is known changes nothing."""
    in_order = sorted(areas, key=lambda area: area.area_id)
    await connection.execute(
        """
        INSERT INTO area AS a (area_id, name, town, outline, lead, network_version)
        SELECT area_id, name::jsonb, town::jsonb, outline::jsonb, lead::jsonb, network_version
        FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[])
            AS new (area_id, name, town, outline, lead, network_version)
        WHERE NOT EXISTS (SELECT FROM area_removal r WHERE r.area_id = new.area_id
            AND r.network_version >= new.network_version)
        ON CONFLICT (area_id) DO UPDATE SET name = excluded.name, town = excluded.town,
            outline = excluded.outline, lead = excluded.lead,
            network_version = excluded.network_version
        WHERE a.network_version <= excluded.network_version
        """,
        [area.area_id for area in in_order],
        [area.name.model_dump_json() for area in in_order],
        [area.town.model_dump_json() if area.town else None for area in in_order],
        [to_json(area.outline).decode() for area in in_order],
        [area.lead.model_dump_json() if area.lead else None for area in in_order],
        [area.network_version for area in in_order],
    )


async def stamp(connection: "Connection") -> tuple[int, int]:
    """Changes whenever the network does: its newest version and how many areas it has."""
    row = await connection.fetchrow("SELECT coalesce(max(network_version), 0), count(*) FROM area")
    return (row[0], row[1]) if row else (0, 0)


async def everything(connection: "Connection") -> list[AreaPublished]:
    """All areas, by id."""
    rows = await connection.fetch("SELECT * FROM area ORDER BY area_id")
    return [
        AreaPublished(
            area_id=row["area_id"],
            name=from_json(row["name"]),
            town=from_json(row["town"]) if row["town"] else None,
            outline=from_json(row["outline"]),
            lead=from_json(row["lead"]) if row["lead"] else None,
            network_version=row["network_version"],
        )
        for row in rows
    ]
