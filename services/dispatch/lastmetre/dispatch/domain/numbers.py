"""Numbers for people: the city's local day and the count within it, as `261122-0001`."""

import re
from datetime import date
from typing import Final

_NUMBER: Final = re.compile(r"^(\d{2})(\d{2})(\d{2})-(\d{4,9})$", re.ASCII)


def counted_day(day: date) -> date:
    """The day that `day` shares its numbers with: a number prints two digits of the year.

    So 1926 and 2026 share one counter. It is the one of this century, where every printed day
    exists: a year 20yy is a leap year wherever 19yy or 21yy is.
    """
    return day.replace(year=2000 + day.year % 100)


def case_number(day: date, count: int) -> str:
    """The number of the day's case number `count`."""
    return f"{day:%y%m%d}-{count:04d}"


def parse_number(number: str) -> tuple[date, int] | None:
    """The counted day and the count of a number; None if it is not one of ours."""
    match = _NUMBER.match(number)
    if match is None:
        return None
    year, month, day, count = map(int, match.groups())
    try:
        return date(2000 + year, month, day), count
    except ValueError:
        return None
