"""Which days the board shows."""

from datetime import date

import pytest

from lastmetre.metrics.domain.periods import Period, PeriodName, period_of

TODAY = date(2026, 11, 24)


@pytest.mark.parametrize(
    ("name", "day", "newest", "expected"),
    [
        (PeriodName.TODAY, None, None, ("today", "2026-11-24", "2026-11-24")),
        (PeriodName.YESTERDAY, None, None, ("yesterday", "2026-11-23", "2026-11-23")),
        (PeriodName.WEEK, None, None, ("week", "2026-11-18", "2026-11-24")),
        (PeriodName.ALL, None, date(2018, 1, 4), ("all", None, None)),
        (PeriodName.WEEK, date(2018, 1, 2), None, ("day", "2018-01-02", "2018-01-02")),
        (None, None, None, ("today", "2026-11-24", "2026-11-24")),
        (None, None, TODAY, ("today", "2026-11-24", "2026-11-24")),
        (None, None, date(2026, 12, 1), ("today", "2026-11-24", "2026-11-24")),
        (None, None, date(2026, 11, 23), ("yesterday", "2026-11-23", "2026-11-23")),
        (None, None, date(2018, 1, 4), ("day", "2018-01-04", "2018-01-04")),
    ],
)
def test_period(
    name: PeriodName | None,
    day: date | None,
    newest: date | None,
    expected: tuple[str, str | None, str | None],
) -> None:
    period = period_of(name, day, TODAY, newest)
    assert (
        period.name.value,
        period.first and period.first.isoformat(),
        period.last and period.last.isoformat(),
    ) == expected


def test_before() -> None:
    week = period_of(PeriodName.WEEK, None, TODAY, None)
    assert week.before == Period(PeriodName.DAY, date(2026, 11, 11), date(2026, 11, 17))
    assert period_of(PeriodName.ALL, None, TODAY, None).before is None
