"""Cases near a place, found by the cells of a grid: what it costs depends on what lies there."""

from datetime import datetime
from math import cos, floor, radians
from typing import TYPE_CHECKING, Final

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.case_model import Case
from lastmetre.dispatch.adapters.postgres.cases import SELECT_CASE, case_of
from lastmetre.dispatch.domain.likeness import METRES_A_DEGREE

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_CELLS_A_DEGREE: Final = 1000
"""As in the index `case_by_place`."""
_COSINE_AT_LEAST: Final = 0.01
REPORTED_NEAR: Final = f"""
    {SELECT_CASE}
    WHERE latitude IS NOT NULL
        AND floor(latitude * {_CELLS_A_DEGREE})::int = ANY($1::int[])
        AND floor(longitude * {_CELLS_A_DEGREE})::int BETWEEN $2 AND $3
        AND reported_at BETWEEN $4 AND $5 AND state NOT IN ('merged', 'cancelled')
    ORDER BY is_open DESC, reported_at DESC, case_id LIMIT $6
"""


async def reported_near(
    connection: "Connection",
    position: Position,
    metres: float,
    since: datetime,
    until: datetime,
    limit: int,
) -> list[Case]:
    """Cases at most about that far away, reported between these times: the open ones first, then
    the latest. Merged and cancelled ones are left out."""
    north = metres / METRES_A_DEGREE
    east = north / max(cos(radians(position.latitude)), _COSINE_AT_LEAST)
    south_cell, north_cell = _cells(position.latitude, north)
    west_cell, east_cell = _cells(position.longitude, east)
    rows = await connection.fetch(
        REPORTED_NEAR,
        list(range(south_cell, north_cell + 1)),
        west_cell,
        east_cell,
        since,
        until,
        limit,
    )
    return [case_of(row) for row in rows]


def _cells(degrees: float, away: float) -> tuple[int, int]:
    return floor((degrees - away) * _CELLS_A_DEGREE), floor((degrees + away) * _CELLS_A_DEGREE)
