"""The tiles at the top of the board."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from lastmetre.common.web.svg.charts import share_line, whisker
from lastmetre.common.web.wording import NO_BREAK
from lastmetre.metrics.domain.indicators import FEW
from lastmetre.metrics.entrypoints.web.names import CHANNEL_NAMES, CHANNELS
from lastmetre.metrics.entrypoints.web.reader import Reader

SAME_AS_BEFORE: Final = 0.02
"""A change of the median below this share is none worth telling."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What `kit.tile` takes."""

    name: str
    value: str
    unit: str = ""
    drawing: Markup | str = ""
    note: str = ""
    change: str = ""
    direction: str = "same"
    icon: str = ""


class Tiles(Reader):
    """First response, resolved, satisfaction, still open, reports: each with its uncertainty."""

    def tiles(self) -> list[Tile]:
        """First response, resolved, satisfaction, still open, reports."""
        return [
            self._first_response(),
            self._resolved(),
            self._satisfaction(),
            self._open(),
            self._reports(),
        ]

    def _nothing(self, name: str, note: str) -> Tile:
        return Tile(name, "–", note=note)

    def _too_few(self, name: str, cases: str) -> Tile:
        """That there is something, and that it says nothing yet."""
        return self._nothing(name, self._("%(cases)s: too few to tell", cases=cases))

    def _first_response(self) -> Tile:
        name = self._("First response (median)")
        curve = self._f.first_response
        if curve is None:
            return self._nothing(name, self._("No data: nobody recorded an acceptance"))
        cases = self.ngettext("%(num)s case", "%(num)s cases", curve.n)
        if curve.n < FEW:
            return self._too_few(name, cases)
        middle = curve.quantile(0.5)
        low, high = curve.median_interval()
        value, unit = self._w.quantity(middle)
        note = self._(
            "%(low)s to %(high)s · %(cases)s",
            low=self._length(low),
            high=self._length(high),
            cases=cases,
        )
        drawing = whisker(middle, low, high, scale=(0, max(curve.quantile(0.9), high)), label=note)
        return Tile(name, value, unit, drawing, note, *self._compared(middle))

    def _compared(self, middle: float) -> tuple[str, str, str]:
        """How the first response compares with the period before: words, direction, icon."""
        median = self._f.first_response_before
        if median is None or median.n < FEW:
            return "", "same", ""
        before = median.seconds
        if abs(middle - before) <= SAME_AS_BEFORE * before:
            return self._("as before"), "same", "minus"
        change = self._length(abs(middle - before))
        if middle < before:
            return self._("%(time)s faster than before", time=change), "better", "arrow-down"
        return self._("%(time)s slower than before", time=change), "worse", "arrow-up"

    def _resolved(self) -> Tile:
        name = self._("Resolved so far")
        share = self._f.resolved
        if share is None:
            return self._nothing(name, self._("No data: no cases yet"))
        cases = self.ngettext("%(num)s case", "%(num)s cases", share.n)
        if share.n < FEW:
            return self._too_few(name, cases)
        assert share.low is not None
        assert share.high is not None
        note = f"{self._w.percent(share.low)}–{self._w.percent(share.high)}"
        median = self._f.resolution_median
        change = (
            self._("half of them within %(time)s", time=self._w.duration(median.seconds))
            if median is not None and median.n >= FEW
            else ""
        )
        return Tile(
            name,
            self._w.percent(share.value).removesuffix("%"),
            "%",
            whisker(share.value, share.low, share.high, scale=(0, 1), label=note),
            f"{note}{self._w.dot}{cases}",
            change,
            icon="clock",
        )

    def _satisfaction(self) -> Tile:
        name = self._("Satisfaction")
        score = self._f.score
        if score is None:
            return self._nothing(name, self._("No data: nobody has rated yet"))
        answers = self.ngettext("%(num)s rating", "%(num)s ratings", score.n)
        if score.n < FEW or score.low is None or score.high is None:
            return self._too_few(name, answers)
        value = self._w.number(score.value, 2)
        note = f"{self._w.number(score.low, 2)}–{self._w.number(score.high, 2)}"
        note += self._w.dot + answers
        drawing = whisker(score.value, score.low, score.high, scale=(1, 5), label=note)
        solved = self._f.solved
        change = (
            self._("%(share)s say solved", share=self._w.percent(solved.value)) if solved else ""
        )
        return Tile(name, value, "/ 5", drawing, note, change, icon="message-square")

    def _open(self) -> Tile:
        """As of now, whenever reported; and how many of the period's cases are among them."""
        now: dict[str, int] = defaultdict(int)
        for row in self._f.open_now:
            now["queue" if row["state"] == "unplaced" else "lead"] += row["cases"]
        everywhere, of_period = sum(now.values()), self._f.summary["open"]
        note = self._(
            "%(lead)s with a lead · %(queue)s in the queue",
            lead=self._w.number(now["lead"]),
            queue=self._w.number(now["queue"]),
        )
        drawing = share_line([("open", now["lead"]), ("over", now["queue"])], label=note)
        return Tile(
            self._("Open now"),
            self._w.number(everywhere),
            self._t.ungettext("case", "cases", everywhere),
            drawing if everywhere else "",
            note,
            self._("%(number)s of them reported in this period", number=self._w.number(of_period)),
            icon="layers",
        )

    def _reports(self) -> Tile:
        accepted: dict[str, int] = defaultdict(int)
        rejected = 0
        for row in self._f.reports:
            if row["accepted"]:
                accepted[row["channel"]] += row["reports"]
            else:
                rejected += row["reports"]
        reported = sum(accepted.values()) + rejected
        # Where a line may break, apart from the spaces.
        note = f"{self._w.dot}\N{ZERO WIDTH SPACE}".join(
            f"{self._(CHANNEL_NAMES[each.value])}{NO_BREAK}{self._w.number(accepted[each.value])}"
            for each in CHANNELS
        )
        name, value = self._("Reports"), self._w.number(reported)
        valid = self._f.valid
        if valid is None or valid.n < FEW or valid.low is None or valid.high is None:
            return Tile(name, value, note=note)
        return Tile(
            name,
            value,
            drawing=whisker(valid.value, valid.low, valid.high, scale=(0, 1), label=note),
            note=note,
            change=self._w.dot.join(
                [self._("%(share)s valid", share=self._w.percent(valid.value))]
                + [self.ngettext("%(num)s rejected", "%(num)s rejected", rejected)] * bool(rejected)
            ),
            icon="clipboard-list",
        )
