"""From a report as its channel sent it to one that means the same in every channel."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from lastmetre.common.contracts.base import Language, Position
from lastmetre.common.contracts.reports import Datum, RejectionReason, ReportSubmitted
from lastmetre.intake.domain.categories import Categories
from lastmetre.intake.domain.contact import ContactCheck, Reachable
from lastmetre.intake.domain.datum import to_wgs84

FUTURE_ALLOWED: Final = timedelta(days=1)
_NULL_ISLAND_DEGREES: Final = 0.001
_DECIMALS: Final = 7  # about a centimetre


class Sent(NamedTuple):
    """A report as it came. `received_at` is the city's time when its record was appended."""

    channel: str
    report: ReportSubmitted
    received_at: datetime


class Normalised(NamedTuple):
    """What intake makes of a report; with `reasons`, it cannot become a case."""

    reported_at: datetime
    category: str
    position: Position | None
    reachable: Reachable
    language: Language
    reasons: tuple[RejectionReason, ...]


_NOBODY: Final = Reachable(None, None)


def normalise(
    sent: Sequence[Sent], categories: Categories, check: ContactCheck
) -> list[Normalised]:
    """What becomes of each report, in order."""
    return [
        Normalised(
            reported_at=each.report.reported_at or each.received_at,
            category=categories.code(each.channel, each.report.category),
            position=position,
            reachable=check.usable(contact) if (contact := each.report.contact) else _NOBODY,
            language=contact.language if contact else Language.CHINESE,
            reasons=_reasons(each),
        )
        for each, position in zip(sent, _positions(sent), strict=True)
    ]


def _reasons(sent: Sent) -> tuple[RejectionReason, ...]:
    report, reasons = sent.report, list[RejectionReason]()
    if report.category is None and not (report.text or "").strip():
        reasons.append("says_nothing")
    if report.reported_at and report.reported_at - sent.received_at > FUTURE_ALLOWED:
        reasons.append("reported_in_the_future")
    if report.position and (
        abs(report.position.latitude) < _NULL_ISLAND_DEGREES
        and abs(report.position.longitude) < _NULL_ISLAND_DEGREES
    ):
        reasons.append("position_is_null_island")
    return tuple(reasons)


def _positions(sent: Sequence[Sent]) -> list[Position | None]:
    """Each report's point on WGS-84, one calculation a datum."""
    found: list[Position | None] = [None] * len(sent)
    shifted: dict[Datum, list[int]] = {}
    for index, each in enumerate(sent):
        if (position := each.report.position) is None:
            continue
        if position.datum is Datum.WGS84:
            found[index] = Position(latitude=position.latitude, longitude=position.longitude)
        else:
            shifted.setdefault(position.datum, []).append(index)
    for datum, indexes in shifted.items():
        points = [p for i in indexes if (p := sent[i].report.position)]
        longitudes, latitudes = to_wgs84(
            datum,
            np.array([point.longitude for point in points]),
            np.array([point.latitude for point in points]),
        )
        for index, longitude, latitude in zip(
            indexes, longitudes.tolist(), latitudes.tolist(), strict=True
        ):
            found[index] = Position(
                latitude=round(min(max(latitude, -90.0), 90.0), _DECIMALS),
                longitude=round(min(max(longitude, -180.0), 180.0), _DECIMALS),
            )
    return found
