"""How long a stage took, over the cases of a period."""

from collections.abc import Sequence
from math import sqrt
from typing import Final, NamedTuple

from lastmetre.metrics.domain.indicators import FIRST_RESPONSE, RESOLUTION, WHOLE
from lastmetre.metrics.domain.statistics import Z95

CURVES: Final = {stage.name: stage for stage in (FIRST_RESPONSE, RESOLUTION, WHOLE)}
"""The stages that the board has curves of, by name."""
CURVE_STEPS: Final = 400


class Curve(NamedTuple):
    """How long a stage took: `n` cases; the quantiles in seconds at 0, 1/400 … 1, exact."""

    n: int
    quantiles: Sequence[float]

    def quantile(self, share: float) -> float:
        """The time within which that share of the cases was done, between two quantiles."""
        place = min(max(share, 0.0), 1.0) * CURVE_STEPS
        below = min(int(place), CURVE_STEPS - 1)
        rest = place - below
        return self.quantiles[below] * (1 - rest) + self.quantiles[below + 1] * rest

    def median_interval(self) -> tuple[float, float]:
        """The 95 % interval of the median, in seconds."""
        half = Z95 * 0.5 / sqrt(self.n)
        return self.quantile(0.5 - half), self.quantile(0.5 + half)

    def points(self) -> Sequence[tuple[float, float]]:
        """Each quantile's seconds, and the share of the cases that were done within them."""
        return [(seconds, n / CURVE_STEPS) for n, seconds in enumerate(self.quantiles)]

    def band(self) -> Sequence[tuple[float, float, float]]:
        """The 95 % band of the empirical distribution: seconds, lowest and highest share."""
        band = []
        for seconds, share in self.points():
            half = Z95 * sqrt(share * (1 - share) / self.n)
            band.append((seconds, max(share - half, 0.0), min(share + half, 1.0)))
        return band


class Median(NamedTuple):
    """A stage's median over `n` cases, in seconds."""

    n: int
    seconds: float
