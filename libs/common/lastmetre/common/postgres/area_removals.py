"""Areas that are no longer published: `area` and `area_removal` of a service that reads them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lastmetre.common.kafka.area_changes import AreaRemoved

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def remove_areas(connection: "Connection", removed: Sequence[AreaRemoved]) -> None:
    """These are no longer published; what is published in a later version stays.

    A removal without a version is of an older build, and takes the area as it stands.
    """
    await connection.execute(
        """
        WITH removed AS (
            SELECT * FROM unnest($1::text[], $2::int[]) AS r (area_id, network_version)
        ), noted AS (
            INSERT INTO area_removal AS known
            SELECT area_id, network_version FROM removed WHERE network_version IS NOT NULL
            ORDER BY area_id
            ON CONFLICT (area_id) DO UPDATE
                SET network_version = greatest(known.network_version, excluded.network_version)
        )
        DELETE FROM area USING removed
        WHERE area.area_id = removed.area_id
            AND (removed.network_version IS NULL OR area.network_version < removed.network_version)
        """,
        [each.area_id for each in removed],
        [each.network_version for each in removed],
    )
