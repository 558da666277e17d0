"""What the indicators are: the sets they are over, the stages, what is left out and why."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import pairwise
from typing import Final

from lastmetre.common.contracts.base import Origin

QUANTILES: Final = (0.5, 0.9, 0.99)
QUANTILE_METHOD: Final = (
    "percentile_cont: exact, over every value, interpolated between the two nearest"
)
SATISFIED_FROM: Final = 4
"""The lowest of the scores 1 to 5 that counts as satisfied."""
FEW: Final = 5
"""Below so many cases a figure says nothing about an area."""


class Dimension(StrEnum):
    """What figures can be grouped by. `day` is the local day of the report."""

    CHANNEL = "channel"
    AREA = "area"
    LEAD = "lead"
    CATEGORY = "category"
    SOURCE_CATEGORY = "source_category"
    DAY = "day"


class FixedOnSpot(StrEnum):
    """What response times do with patrol findings that were fixed at the moment they were found."""

    WITHOUT = "without"
    WITH = "with"
    ONLY = "only"


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of a case's way, from one recorded step to another."""

    name: str
    start: str
    end: str


STEPS: Final = (
    "reported", "registered", "dispatched", "accepted", "arrived", "resolved", "closed",
)  # fmt: skip
FIRST_RESPONSE: Final = Stage("first_response", "reported", "accepted")
RESOLUTION: Final = Stage("resolution", "reported", "resolved")
WHOLE: Final = Stage("whole", "reported", "closed")
STAGES: Final = (
    *(Stage(f"{a}_to_{b}", a, b) for a, b in pairwise(STEPS)),
    FIRST_RESPONSE,
    RESOLUTION,
    WHOLE,
)


class Excluded(StrEnum):
    """Why a case is not in a stage's response times. Each case has one reason at most."""

    CLOSED_BEFORE_REPORTED = "closed_before_reported"
    FIXED_ON_SPOT = "fixed_on_spot"
    NOT_FIXED_ON_SPOT = "not_fixed_on_spot"
    NOT_RECORDED = "not_recorded"
    OUT_OF_ORDER = "out_of_order"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which cases: reported on the local days `first` to `last` (None: no limit), by `origin`."""

    first: date | None = None
    last: date | None = None
    origin: Origin | None = None
    fixed_on_spot: FixedOnSpot = FixedOnSpot.WITHOUT

    def cases_set(self) -> str:
        """The set of cases in words."""
        origins = {
            None: "live and imported cases",
            Origin.LIVE: "live cases",
            Origin.IMPORT: "imported cases",
        }
        return f"{origins[self.origin]} reported {self._days()}"

    def _days(self) -> str:
        if self.first and self.last:
            return f"on the local days {self.first} to {self.last}"
        if self.first:
            return f"on the local day {self.first} or later"
        if self.last:
            return f"on the local day {self.last} or earlier"
        return "on any day"

    def response_set(self, stage: Stage) -> str:
        """The set that a stage's response times are over, in words."""
        spot = {
            FixedOnSpot.WITHOUT: "without those closed before they were reported"
            " and without those fixed on the spot",
            FixedOnSpot.WITH: "without those closed before they were reported",
            FixedOnSpot.ONLY: "only those fixed on the spot",
        }
        reached = f"with {stage.start} and {stage.end} recorded"
        if stage.end == "closed":
            reached = "that are closed, the last closing counted"
        return f"{self.cases_set()}, {reached}, {spot[self.fixed_on_spot]}"
