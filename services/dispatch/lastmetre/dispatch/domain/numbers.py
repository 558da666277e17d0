"""Numbers for people: the city's local day, the count within it and three digits drawn at random.

As `261122-0001583`. Nobody who knows one number knows the next. Numbers of before lack the three.
"""

import re
from datetime import date
from typing import Final

_NUMBER: Final = re.compile(r"^(\d{2})(\d{2})(\d{2})-(\d{4,12})$", re.ASCII)
_LONGEST_OF_BEFORE: Final = 6
"""Digits behind the dash: no day had a million cases."""
DRAWN_BELOW: Final = 1000


def counted_day(day: date) -> date:
    """The day that `day` shares its numbers with: a number prints two digits of the year.

    So 1926 and 2026 share one counter. It is the one of this century, where every printed day
    exists: a year 20yy is a leap year wherever 19yy or 21yy is.
    """
    return day.replace(year=2000 + day.year % 100)


def case_number(day: date, count: int, drawn: int) -> str:
    """The number of the day's case number `count`; `drawn` at random, below DRAWN_BELOW."""
    return f"{day:%y%m%d}-{count:04d}{drawn:03d}"


def parse_number(number: str) -> tuple[date, int] | None:
    """The counted day and the count of a number; None if it is not one of ours."""
    match = _NUMBER.match(number)
    if match is None:
        return None
    year, month, day = map(int, match.groups()[:3])
    behind = number[match.start(4) :]
    count = int(behind if len(behind) <= _LONGEST_OF_BEFORE else behind[:-3])
    try:
        return date(2000 + year, month, day), count
    except ValueError:
        return None
