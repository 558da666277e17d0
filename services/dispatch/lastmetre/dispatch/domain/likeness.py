"""Which cases near a case may be of the same problem, and what speaks for it."""

from collections.abc import Iterable
from datetime import timedelta
from math import cos, hypot, radians, remainder
from typing import Final, NamedTuple

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.case_model import Case

METRES_A_DEGREE: Final = 111_320.0
"""Of latitude; of longitude on the equator."""


class Nearness(NamedTuple):
    """How far apart two reports of one problem may be."""

    metres: float
    within: timedelta
    """Between the times at which they were reported."""


class Likeness(NamedTuple):
    """Two cases, and how far apart they are. Where a place is rough, so is `metres`."""

    metres: float | None
    """None: one of them has no place."""
    apart: timedelta
    same_kind: bool


class Alike(NamedTuple):
    """A case that may be of the same problem."""

    case: Case
    likeness: Likeness


def metres_between(one: Position, other: Position) -> float:
    """On a plane: within a thousandth for what is near, off the poles."""
    latitude = radians((one.latitude + other.latitude) / 2)
    north = (one.latitude - other.latitude) * METRES_A_DEGREE
    turned = remainder(one.longitude - other.longitude, 360)
    return hypot(north, turned * METRES_A_DEGREE * cos(latitude))


def likeness(one: Case, other: Case) -> Likeness:
    """How far apart two cases are; the same both ways."""
    metres = None
    if one.position is not None and other.position is not None:
        metres = metres_between(one.position, other.position)
    apart = abs(one.reported_at - other.reported_at)
    return Likeness(metres, apart, one.category == other.category)


def alike(case: Case, others: Iterable[Case], nearness: Nearness, most: int) -> list[Alike]:
    """Those near enough: of the same kind first, then the open ones, the closest, the latest."""
    found = [Alike(other, likeness(case, other)) for other in others if other != case]
    near = [each for each in found if _is_near(each.likeness, nearness)]
    near.sort(
        key=lambda each: (
            not each.likeness.same_kind,
            not each.case.is_open,
            each.likeness.metres,
            each.likeness.apart,
            each.case.case_id,
        )
    )
    return near[:most]


def _is_near(between: Likeness, nearness: Nearness) -> bool:
    close = between.metres is not None and between.metres <= nearness.metres
    return close and between.apart <= nearness.within
