"""What the board shows: a few aggregate queries over the days it is about."""

from datetime import date
from typing import TYPE_CHECKING, Final

import asyncpg

from lastmetre.metrics.adapters.postgres.figures import IN_RESPONSE_TIMES, NOT_MERGED, seconds
from lastmetre.metrics.domain.curves import CURVE_STEPS, Curve, Median
from lastmetre.metrics.domain.indicators import FixedOnSpot, Stage
from lastmetre.metrics.domain.periods import Period

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_FRACTIONS: Final = [step / CURVE_STEPS for step in range(CURVE_STEPS + 1)]
_IN_PERIOD: Final = (
    "($1::date IS NULL OR reported_day >= $1) AND ($2::date IS NULL OR reported_day <= $2)"
)
_CASES: Final = f"{_IN_PERIOD} AND {NOT_MERGED}"
_COUNTED: Final = IN_RESPONSE_TIMES[FixedOnSpot.WITHOUT]


def _counted(stage: Stage) -> str:
    return f"{_COUNTED} AND {stage.end}_at >= {stage.start}_at"


async def newest_day(connection: "Connection") -> date | None:
    """The local day of the newest report that became a case."""
    day: date | None = await connection.fetchval("SELECT max(reported_day) FROM fact")
    return day


async def summary(connection: "Connection", period: Period) -> asyncpg.Record:
    """The counts of the period's cases, in one row."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS cases, count(*) FILTER (WHERE open) AS open,
               count(*) FILTER (WHERE state = 'unplaced') AS unplaced,
               count(*) FILTER (WHERE open AND lead_id IS NOT NULL) AS with_lead,
               count(*) FILTER (WHERE state = 'closed') AS closed,
               count(*) FILTER (WHERE state = 'cancelled') AS cancelled,
               count(*) FILTER (WHERE resolved_at IS NOT NULL AND state <> 'cancelled')
                   AS resolved,
               count(*) FILTER (WHERE returns > 0) AS returned,
               count(*) FILTER (WHERE reopenings > 0) AS reopened,
               count(*) FILTER (WHERE closed_before_reported) AS closed_before_reported,
               count(*) FILTER (WHERE fixed_on_spot) AS fixed_on_spot,
               count(*) FILTER (WHERE channel = 'patrol') AS patrol,
               count(score) AS answers, count(*) FILTER (WHERE solved) AS solved,
               coalesce(sum(score), 0)::bigint AS total,
               coalesce(sum(score * score), 0)::bigint AS squares
        FROM fact WHERE {_CASES}
        """,  # noqa: S608
        period.first,
        period.last,
    )
    assert row is not None
    return row


async def curve(connection: "Connection", period: Period, stage: Stage) -> Curve | None:
    """How long a stage took in the period; None is no data."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS n,
               percentile_cont($3::float8[])
                   WITHIN GROUP (ORDER BY {seconds(stage.start, stage.end)}) AS quantiles
        FROM fact WHERE {_CASES} AND {_counted(stage)}
        """,  # noqa: S608
        period.first,
        period.last,
        _FRACTIONS,
    )
    assert row is not None
    return Curve(row["n"], row["quantiles"]) if row["n"] else None


async def median(connection: "Connection", period: Period, stage: Stage) -> Median | None:
    """A stage's median in the period; None is no data."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS n,
               percentile_cont(0.5)
                   WITHIN GROUP (ORDER BY {seconds(stage.start, stage.end)}) AS seconds
        FROM fact WHERE {_CASES} AND {_counted(stage)}
        """,  # noqa: S608
        period.first,
        period.last,
    )
    assert row is not None
    return Median(*row) if row["n"] else None


async def hourly(connection: "Connection", period: Period, zone: str) -> list[asyncpg.Record]:
    """The period's cases by hour of the city's day and channel.

    Quarters of an hour first: finding out the local time of each case takes three times as long,
    and every zone's clock differs from UTC by whole quarters.
    """
    return await connection.fetch(
        f"""
        SELECT extract(hour FROM quarter AT TIME ZONE $3)::int AS hour, channel,
               sum(cases)::bigint AS cases
        FROM (SELECT date_bin('15 minutes', reported_at, 'epoch') AS quarter, channel,
                     count(*) AS cases
              FROM fact WHERE {_CASES} GROUP BY 1, 2) AS quarters
        GROUP BY 1, 2
        """,  # noqa: S608
        period.first,
        period.last,
        zone,
    )


async def by_area(connection: "Connection", period: Period) -> list[asyncpg.Record]:
    """By area: the cases open now, whenever they were reported, and all cases of the period."""
    return await connection.fetch(
        f"""
        SELECT area_id, sum(open)::bigint AS open, sum(cases)::bigint AS cases
        FROM (SELECT area_id, count(*) AS open, 0 AS cases FROM fact
              WHERE open AND area_id IS NOT NULL GROUP BY area_id
              UNION ALL
              SELECT area_id, 0, count(*) FROM fact
              WHERE {_CASES} AND area_id IS NOT NULL GROUP BY area_id) AS counted
        GROUP BY area_id
        """,  # noqa: S608
        period.first,
        period.last,
    )


async def open_now(connection: "Connection") -> list[asyncpg.Record]:
    """All open cases whenever reported, by state and by why they are unplaced."""
    return await connection.fetch(
        """
        SELECT state, unplaced_reason, count(*) AS cases, min(reported_at) AS oldest
        FROM fact WHERE open GROUP BY 1, 2
        """
    )


async def reports(connection: "Connection", period: Period) -> list[asyncpg.Record]:
    """The period's reports by channel and whether they were accepted."""
    return await connection.fetch(
        f"SELECT channel, accepted, count(*) AS reports FROM report WHERE {_IN_PERIOD}"  # noqa: S608
        " GROUP BY 1, 2",
        period.first,
        period.last,
    )


async def change_mark(connection: "Connection") -> tuple[object, ...]:
    """Another value as soon as any process has read on, or a rebuild has replaced the facts."""
    row = await connection.fetchrow(
        "SELECT (SELECT sum(next_offset) FROM position), 'fact'::regclass::oid"
    )
    assert row is not None
    return tuple(row)
