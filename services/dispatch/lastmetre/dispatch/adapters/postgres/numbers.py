"""The counters of the numbers for people, one for each day as it is printed."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


async def reserve(connection: "Connection", wanted: Mapping[date, int]) -> dict[date, int]:
    """Reserve that many numbers of each day; returns the last one before those.

    To be called outside a transaction: it is committed at once, and asynchronously. That is safe,
    for whoever commits a case with such a number does so later, and flushes this commit with it.
    """
    days = sorted(wanted)
    rows = await connection.fetch(
        """
        INSERT INTO day_number AS d (day, last)
        SELECT w.day, w.count FROM unnest($1::date[], $2::int[]) AS w(day, count),
            (SELECT set_config('synchronous_commit', 'off', true)) AS commits
        ORDER BY w.day
        ON CONFLICT (day) DO UPDATE SET last = d.last + excluded.last
        RETURNING day, last
        """,
        days,
        [wanted[day] for day in days],
    )
    return {row[0]: row[1] - wanted[row[0]] for row in rows}


async def raise_counters(connection: "Connection", at_least: Mapping[date, int]) -> None:
    """No number of these days up to the one given is ever reserved again."""
    days = sorted(at_least)
    await connection.execute(
        """
        INSERT INTO day_number AS d (day, last)
        SELECT * FROM unnest($1::date[], $2::int[]) AS w(day, last) ORDER BY day
        ON CONFLICT (day) DO UPDATE SET last = greatest(d.last, excluded.last)
        """,
        days,
        [at_least[day] for day in days],
    )


async def skip_used(connection: "Connection", days: Iterable[date]) -> None:
    """Raise the counters of these days above every number that a case has. Reads all cases.

    Behind the dash of a number stand the count and three digits; of before, up to six of the count.
    """
    await connection.execute(
        """
        INSERT INTO day_number AS d (day, last)
        SELECT w.day, max((CASE WHEN length(c.number) > 13
            THEN substr(c.number, 8, length(c.number) - 10) ELSE substr(c.number, 8) END)::int)
        FROM unnest($1::date[]) AS w(day)
        JOIN "case" c ON c.number LIKE to_char(w.day, 'YYMMDD') || '-%'
        WHERE c.number ~ '^[0-9]{6}-[0-9]{4,12}$'
        GROUP BY w.day ORDER BY w.day
        ON CONFLICT (day) DO UPDATE SET last = greatest(d.last, excluded.last)
        """,
        sorted(days),
    )
