"""Which days the board shows: asked for by name or date, never the last 24 hours."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

ONE_DAY: Final = timedelta(days=1)


class PeriodName(StrEnum):
    """Periods by name; `day` is one that was asked for by its date, or chosen by default."""

    TODAY = "today"
    YESTERDAY = "yesterday"
    WEEK = "week"
    ALL = "all"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Period:
    """Local days in the city, `first` to `last`, both included; None is without a limit."""

    name: PeriodName
    first: date | None
    last: date | None

    @property
    def before(self) -> "Period | None":
        """As many days just before; None if there is no beginning."""
        if self.first is None or self.last is None:
            return None
        length = self.last - self.first + ONE_DAY
        if self.first - date.min < length:
            return None
        return Period(PeriodName.DAY, self.first - length, self.last - length)


def period_of(
    name: PeriodName | None, day: date | None, today: date, newest: date | None
) -> Period:
    """The period asked for by `day` or `name`; without either, the day of the newest report.

    `newest` is the local day of that report, None if there is none. Reports of the future (a clock
    that is wrong) do not count: today is the latest default.
    """
    if day is not None:
        return Period(PeriodName.DAY, day, day)
    match name:
        case PeriodName.TODAY:
            return Period(name, today, today)
        case PeriodName.YESTERDAY:
            return Period(name, today - ONE_DAY, today - ONE_DAY)
        case PeriodName.WEEK:
            return Period(name, today - 6 * ONE_DAY, today)
        case PeriodName.ALL:
            return Period(name, None, None)
    if newest is None or newest >= today:
        return Period(PeriodName.TODAY, today, today)
    if newest == today - ONE_DAY:
        return Period(PeriodName.YESTERDAY, newest, newest)
    return Period(PeriodName.DAY, newest, newest)
