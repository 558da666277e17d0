"""The figures of `/indicators`, exact, worked out by PostgreSQL in as few passes as there are."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.metrics.domain.indicators import (
    QUANTILES,
    SATISFIED_FROM,
    STAGES,
    FixedOnSpot,
    Selection,
)
from lastmetre.metrics.domain.indicators import Dimension as By

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection, Pool

_COLUMN: Final = {
    By.CHANNEL: "channel",
    By.AREA: "area_id",
    By.LEAD: "lead_id",
    By.CATEGORY: "category",
    By.SOURCE_CATEGORY: "source_category",
    By.DAY: "reported_day",
}
SORT_MEMORY: Final = "64MB"
REPORT_DIMENSIONS: Final = frozenset({By.CHANNEL, By.DAY})
"""What a report is counted by even if it never became a case."""

NOT_MERGED: Final = "state <> 'merged'"
"""What is counted as a case: the reports of a merged one are counted with the case they joined."""
_SELECTED: Final = (
    "($1::date IS NULL OR reported_day >= $1) AND ($2::date IS NULL OR reported_day <= $2)"
    " AND ($3::text IS NULL OR origin = $3)"
)
_CASES: Final = f"{_SELECTED} AND {NOT_MERGED}"
# Never closed before it was reported, and what the selection says of those fixed on the spot.
IN_RESPONSE_TIMES: Final = {
    FixedOnSpot.WITHOUT: "NOT closed_before_reported AND NOT fixed_on_spot",
    FixedOnSpot.WITH: "NOT closed_before_reported",
    FixedOnSpot.ONLY: "NOT closed_before_reported AND fixed_on_spot",
}


@asynccontextmanager
async def snapshot(pool: "Pool") -> "AsyncIterator[Connection]":
    """A connection that sees everything as of one moment, with room to sort many cases."""
    async with (
        pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute(f"SET LOCAL work_mem = '{SORT_MEMORY}'")
        yield connection


def seconds(start: str, end: str) -> str:
    """SQL: the seconds between two steps of a case, NULL if one is not recorded."""
    return f"date_part('epoch', {end}_at - {start}_at)"


def _selected(selection: Selection) -> tuple[Any, ...]:
    origin = selection.origin.value if selection.origin else None
    return selection.first, selection.last, origin


def _keys(by: Sequence[By]) -> str:
    return "".join(f"{_COLUMN[each]} AS {each.value}, " for each in by)


def _group(by: Sequence[By], *more: str) -> str:
    columns = [*(_COLUMN[each] for each in by), *more]
    return f"GROUP BY {', '.join(columns)}" if columns else ""


async def count_cases(
    connection: "Connection", selection: Selection, by: Sequence[By]
) -> list[asyncpg.Record]:
    """Cases by the dimensions, channel, state and the reasons for being cancelled or unplaced."""
    return await connection.fetch(
        f"""
        SELECT {_keys(by)} channel AS in_channel, state, cancel_reason, unplaced_reason,
               count(*) AS cases, count(lead_id) AS matched,
               count(*) FILTER (WHERE open) AS open,
               sum(returns)::bigint AS returns, count(*) FILTER (WHERE returns > 0) AS returned,
               sum(reopenings)::bigint AS reopenings,
               count(*) FILTER (WHERE reopenings > 0) AS reopened,
               count(*) FILTER (WHERE closed_before_reported) AS closed_before_reported,
               count(*) FILTER (WHERE fixed_on_spot) AS fixed_on_spot,
               (sum(reports) - count(*))::bigint AS merged_reports
        FROM fact WHERE {_CASES}
        {_group(by, "fact.channel", "state", "cancel_reason", "unplaced_reason")}
        """,  # noqa: S608
        *_selected(selection),
    )


def _stage_columns(included: str) -> str:
    columns = []
    for number, stage in enumerate(STAGES):
        length = seconds(stage.start, stage.end)
        counted = f"{included} AND {stage.end}_at >= {stage.start}_at"
        columns.append(
            f"percentile_cont($4::float8[]) WITHIN GROUP (ORDER BY {length})"
            f" FILTER (WHERE {counted}) AS quantiles_{number},"
            f" avg({length}) FILTER (WHERE {counted}) AS mean_{number},"
            f" count(*) FILTER (WHERE {counted}) AS n_{number},"
            f" count(*) FILTER (WHERE {included} AND {stage.end}_at < {stage.start}_at)"
            f" AS out_of_order_{number}"
        )
    return ", ".join(columns)


async def response_times(
    connection: "Connection", selection: Selection, by: Sequence[By]
) -> list[asyncpg.Record]:
    """Each stage's quantiles, mean and number of cases by the dimensions, and who is left out.

    Columns end in the stage's place in `STAGES`; quantiles are those of `QUANTILES`, in seconds.
    """
    return await connection.fetch(
        f"""
        SELECT {_keys(by)} count(*) AS cases,
               count(*) FILTER (WHERE closed_before_reported) AS closed_before_reported,
               count(*) FILTER (WHERE NOT closed_before_reported AND fixed_on_spot)
                   AS fixed_on_spot,
               {_stage_columns(IN_RESPONSE_TIMES[selection.fixed_on_spot])}
        FROM fact WHERE {_CASES} {_group(by)}
        """,  # noqa: S608
        *_selected(selection),
        QUANTILES,
    )


async def satisfaction(
    connection: "Connection", selection: Selection, by: Sequence[By]
) -> list[asyncpg.Record]:
    """What the reporters said, the last answer of each case, by the dimensions."""
    return await connection.fetch(
        f"""
        SELECT {_keys(by)} count(score) AS answers, count(*) FILTER (WHERE solved) AS solved,
               count(*) FILTER (WHERE score >= $4) AS satisfied,
               sum(score)::bigint AS total, sum(score * score)::bigint AS squares,
               count(closed_at) AS closed
        FROM fact WHERE {_CASES} {_group(by)}
        """,  # noqa: S608
        *_selected(selection),
        SATISFIED_FROM,
    )


async def count_reports(
    connection: "Connection", selection: Selection, by: Sequence[By]
) -> list[asyncpg.Record]:
    """Reports by the dimensions (of REPORT_DIMENSIONS), by channel, and by what became of them."""
    return await connection.fetch(
        f"""
        SELECT {_keys(by)} channel AS in_channel, accepted, reasons, count(*) AS reports
        FROM report WHERE {_SELECTED} {_group(by, "report.channel", "accepted", "reasons")}
        """,  # noqa: S608
        *_selected(selection),
    )


async def count_messages(connection: "Connection", selection: Selection) -> list[asyncpg.Record]:
    """Messages by recipient, provider and result, those that ended on the selected days."""
    return await connection.fetch(
        """
        SELECT recipient, coalesce(provider, 'none') AS provider, result, count(*) AS messages
        FROM message
        WHERE ($1::date IS NULL OR day >= $1) AND ($2::date IS NULL OR day <= $2)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        """,
        selection.first,
        selection.last,
    )
