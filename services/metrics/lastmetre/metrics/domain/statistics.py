"""How sure a figure is: intervals that hold the true value 95 times in 100."""

from math import sqrt
from typing import Final, NamedTuple

Z95: Final = 1.959964
_T95: Final = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
"""Student's t, two-sided 95 %, for 1 to 30 degrees of freedom."""


class Estimate(NamedTuple):
    """A figure from `n` answers with its 95 % interval; the interval needs more than one answer."""

    n: int
    value: float
    low: float | None
    high: float | None


def rate(successes: int, n: int) -> Estimate | None:
    """The share `successes / n` with its Wilson score interval; None, no data, if n is 0."""
    if n == 0:
        return None
    share = successes / n
    squared = Z95 * Z95
    centre = (share + squared / (2 * n)) / (1 + squared / n)
    half = Z95 / (1 + squared / n) * sqrt(share * (1 - share) / n + squared / (4 * n * n))
    return Estimate(n, share, max(centre - half, 0.0), min(centre + half, 1.0))


def mean(n: int, total: float, squares: float, bounds: tuple[float, float]) -> Estimate | None:
    """The mean of `n` values with their sum and sum of squares, and Student's interval for it.

    `bounds` are the least and greatest value there can be. None, no data, if n is 0.
    """
    if n == 0:
        return None
    average = total / n
    if n == 1:
        return Estimate(n, average, None, None)
    variance = max(squares - n * average * average, 0.0) / (n - 1)
    half = student_t(n - 1) * sqrt(variance / n)
    return Estimate(n, average, max(average - half, bounds[0]), min(average + half, bounds[1]))


def student_t(freedom: int) -> float:
    """The two-sided 95 % quantile of Student's t, to three digits after the point."""
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    # Abramowitz and Stegun, 26.7.5.
    first = (Z95**3 + Z95) / 4
    second = (5 * Z95**5 + 16 * Z95**3 + 3 * Z95) / 96
    return Z95 + first / freedom + second / freedom**2
