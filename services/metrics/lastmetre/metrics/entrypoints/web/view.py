"""The board in words and drawings, for one language. Pure: figures in, template context out."""

from datetime import date, datetime
from typing import Any, Final

from markupsafe import Markup

from lastmetre.common.web.svg.charts import Column, TimeAxis, flow_columns, response_curve, whisker
from lastmetre.common.web.svg.charts import Curve as DrawnCurve
from lastmetre.metrics.application.board import Row
from lastmetre.metrics.domain.indicators import FEW
from lastmetre.metrics.domain.periods import PeriodName
from lastmetre.metrics.entrypoints.web.areas import Areas
from lastmetre.metrics.entrypoints.web.names import (
    CHANNEL_NAMES,
    CHANNELS,
    CURVE_TITLES,
    PERIOD_NAMES,
    REASON_NAMES,
    STEP_LOOKS,
    STEP_NAMES,
)
from lastmetre.metrics.entrypoints.web.reader import Reader
from lastmetre.metrics.entrypoints.web.tiles import Tiles

CURVE_SHOWS: Final = 0.95
"""The chart's axis ends where this share is done: a few old cases would flatten the rest."""


class BoardView(Reader):
    """Makes one look at the board for one reader."""

    def context(self) -> dict[str, Any]:
        """What the template shows."""
        return {
            "figures": self._f,
            "compared": self._f.curve_before is not None and self._f.curve_before.n >= FEW,
            "now": self._f.now,
            "heading": self.heading(),
            "days": self.days(),
            "tiles": Tiles(self._f, self._w, self._t).tiles(),
            "flow": self.flow(),
            "channels": [
                (f"s{n}", self._(CHANNEL_NAMES[each.value])) for n, each in enumerate(CHANNELS, 1)
            ],
            "channel_rows": self.channel_rows(),
            "curve": self.curve(),
            "curve_rows": self.curve_rows(),
            "queue": self.queue(),
            "moves": self.moves(),
            "satisfaction": self.satisfaction_whiskers(),
            "spot": self.spot_whisker(),
            **Areas(self._f, self._w, self._t).context(),
        }

    # --- heading ------------------------------------------------------------------------

    def heading(self) -> str:
        """The period by name, or the day by date."""
        period = self._f.period
        if period.name is PeriodName.DAY:
            assert period.first is not None
            return self._date(period.first)
        return self._(PERIOD_NAMES[period.name])

    def _date(self, day: date) -> str:
        at = datetime(day.year, day.month, day.day, 12, tzinfo=self._w.time_zone)
        return self._w.date(at, self._f.now)

    def days(self) -> str:
        """The dates of the period and its number of cases."""
        period = self._f.period
        cases = self.ngettext("%(num)s case", "%(num)s cases", self._f.summary["cases"])
        if period.name is PeriodName.DAY or period.first is None or period.last is None:
            return cases
        first, last = self._date(period.first), self._date(period.last)
        return (first if first == last else f"{first} – {last}") + self._w.dot + cases

    # --- flow, curve --------------------------------------------------------------------

    def _by_hour(self) -> list[list[int]]:
        hours = [[0] * len(CHANNELS) for _ in range(24)]
        place = {each.value: n for n, each in enumerate(CHANNELS)}
        for row in self._f.hourly:
            hours[row["hour"]][place[row["channel"]]] += row["cases"]
        return hours

    def flow(self) -> Markup | None:
        """Cases by hour of the city's day, channels stacked."""
        hours = self._by_hour()
        if not any(map(any, hours)):
            return None
        busiest = max(range(24), key=lambda hour: sum(hours[hour]))
        label = self._(
            "Cases by hour of the day; most between %(hour)s:00 and %(next)s:00: %(cases)s",
            hour=busiest,
            next=busiest + 1,
            cases=self._w.number(sum(hours[busiest])),
        )
        return flow_columns([Column(str(h), counts) for h, counts in enumerate(hours)], label=label)

    def channel_rows(self) -> list[tuple[str, int]]:
        """Each channel's number of cases, the chart's twin in figures."""
        totals = [sum(counts) for counts in zip(*self._by_hour(), strict=True)]
        return [
            (self._(CHANNEL_NAMES[each.value]), total)
            for each, total in zip(CHANNELS, totals, strict=True)
        ]

    def curve(self) -> Markup | None:
        """What share of the cases was done within which time."""
        now, before = self._f.curve, self._f.curve_before
        if now is None or now.n < FEW:
            return None
        drawn = [DrawnCurve(now.points(), band=now.band())]
        if before is not None and before.n >= FEW:
            drawn.append(DrawnCurve(before.points(), "prev"))
        axis = TimeAxis.up_to(max(now.quantile(CURVE_SHOWS), 1))
        label = self._(
            "Half within %(median)s, nine in ten within %(p90)s, 99 in 100 within %(p99)s",
            median=self._length(now.quantile(0.5)),
            p90=self._length(now.quantile(0.9)),
            p99=self._length(now.quantile(0.99)),
        )
        title = self._(CURVE_TITLES[self._f.stage.name], unit=self._t.ugettext(axis.unit))
        return response_curve(drawn, axis, label=label, title=title)

    def curve_rows(self) -> list[tuple[str, str, str]]:
        """The curve as a table: share, time now, time before."""
        rows = []
        for share in (0.25, 0.5, 0.75, 0.9, 0.99):
            times = [
                self._length(curve.quantile(share)) if curve and curve.n >= FEW else "–"
                for curve in (self._f.curve, self._f.curve_before)
            ]
            rows.append((self._w.percent(share, 0), times[0], times[1]))
        return rows

    # --- satisfaction, spot, queue, moves -----------------------------------------------

    def satisfaction_whiskers(self) -> list[tuple[str, str, str, Markup]]:
        """Name, figure, range in words and drawing of what the reporters said."""
        rows = []
        score, solved = self._f.score, self._f.solved
        if score is None or score.n < FEW:
            return []
        if score.low is not None and score.high is not None:
            words = f"{self._w.number(score.low, 2)}–{self._w.number(score.high, 2)}"
            rows.append((
                self._("Mean score of 5"), self._w.number(score.value, 2), words,
                whisker(score.value, score.low, score.high, scale=(1, 5), label=words, kind="bar"),
            ))  # fmt: skip
        if solved is not None and solved.low is not None and solved.high is not None:
            words = f"{self._w.percent(solved.low)}–{self._w.percent(solved.high)}"
            rows.append((
                self._("Say it is solved"), self._w.percent(solved.value), words,
                whisker(solved.value, solved.low, solved.high, scale=(0, 1), label=words,
                        kind="bar"),
            ))  # fmt: skip
        return rows

    def spot_whisker(self) -> Markup | None:
        """What share of the patrol findings was fixed on the spot."""
        share = self._f.fixed_on_spot
        if share is None or share.n < FEW or share.low is None or share.high is None:
            return None
        words = f"{self._w.percent(share.low)}–{self._w.percent(share.high)}"
        return whisker(share.value, share.low, share.high, scale=(0, 1), label=words, kind="bar")

    def queue(self) -> list[tuple[str, int, datetime]]:
        """Reason, number and oldest report of what waits for the command centre now."""
        waiting = [row for row in self._f.open_now if row["state"] == "unplaced"]
        return sorted(
            (
                (self._(REASON_NAMES.get(row["unplaced_reason"], row["unplaced_reason"])),
                 row["cases"], row["oldest"])
                for row in waiting
            ),
            key=lambda row: -row[1],
        )  # fmt: skip

    def moves(self) -> list[tuple[Row, str, str, str]]:
        """The last steps: the row, its area's name, the state's mark, the step in words."""
        return [
            (
                row,
                self._w.own(dict(row), "name"),
                STEP_LOOKS.get(row["step"], row["step"]),
                self._(STEP_NAMES.get(row["step"], row["step"])),
            )
            for row in self._f.recent_activity
        ]
