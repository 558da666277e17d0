"""From a report as its channel sent it to one that means the same in every channel."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from lastmetre.common.contact import ContactCheck, Reachable
from lastmetre.common.contracts.base import Language, Origin, Position
from lastmetre.common.contracts.place_in_words import PlaceInWords
from lastmetre.common.contracts.reports import (
    Datum,
    RejectionReason,
    ReportSubmitted,
    SubmittedPosition,
)
from lastmetre.common.datum import to_wgs84
from lastmetre.common.readable import readable
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.places_in_words import PlacesInWords

FUTURE_ALLOWED: Final = timedelta(days=1)
BELIEVED_FOR: Final = timedelta(days=366)
"""A live report is older than that only by a device that has lost its clock."""
HISTORY_AT_MOST: Final = timedelta(days=50 * 366)
"""An import that reaches back further has read its years in the wrong century."""
_NULL_ISLAND_DEGREES: Final = 0.001
_DECIMALS: Final = 7  # about a centimetre


class Sent(NamedTuple):
    """A report as it came. `received_at` is the city's time when its record was appended."""

    channel: str
    report: ReportSubmitted
    received_at: datetime


class Point(NamedTuple):
    """Degrees in the datum that they were sent in."""

    longitude: float
    latitude: float


class Normalised(NamedTuple):
    """What intake makes of a report; with `reasons`, it cannot become a case."""

    reported_at: datetime
    not_believed: datetime | None
    """What a live report's sender says instead, if its clock cannot be right."""
    category: str
    position: Position | None
    accuracy_metres: float | None
    """The radius of doubt of the position."""
    text: str | None
    address: str | None
    """Both as people are to read them."""
    reachable: Reachable
    language: Language
    reasons: tuple[RejectionReason, ...]
    place_in_words: PlaceInWords | None = None
    """What its words say of where it is, if it came without a position."""

    @property
    def place(self) -> tuple[Position | None, float | None]:
        """Where it is, as sent or as its words say, and the radius of doubt."""
        known = self.place_in_words.known if self.place_in_words else None
        if known is None:
            return self.position, self.accuracy_metres
        return known.position, known.accuracy_metres


_NOBODY: Final = Reachable(None, None)


def normalise(
    sent: Sequence[Sent], categories: CategoryCodes, check: ContactCheck
) -> list[Normalised]:
    """What becomes of each report, in order."""
    return [
        _normalised(each, position, categories, check)
        for each, position in zip(sent, _positions(sent), strict=True)
    ]


def with_places(made: Sequence[Normalised], places: PlacesInWords) -> list[Normalised]:
    """The same; of those without a position, with what their words say of where they are."""
    wanted = [
        index
        for index, each in enumerate(made)
        if each.position is None and not each.reasons and (each.address or each.text)
    ]
    found = places.of([(made[i].address or "", made[i].text or "") for i in wanted])
    placed = list(made)
    for index, words in zip(wanted, found, strict=True):
        placed[index] = made[index]._replace(place_in_words=words)
    return placed


def _normalised(
    sent: Sent, position: Position | None, categories: CategoryCodes, check: ContactCheck
) -> Normalised:
    report, contact = sent.report, sent.report.contact
    doubtful = not_believed(sent)
    text = readable(report.text) if report.text else None
    return Normalised(
        reported_at=sent.received_at if doubtful else report.reported_at or sent.received_at,
        not_believed=report.reported_at if doubtful else None,
        category=categories.code(sent.channel, report.category),
        position=position,
        accuracy_metres=report.position.accuracy_metres if position and report.position else None,
        text=text,
        address=readable(report.address) if report.address else None,
        reachable=check.usable(contact.phone, contact.email) if contact else _NOBODY,
        language=contact.language if contact else Language.CHINESE,
        reasons=_reasons(sent, text),
    )


def _reasons(sent: Sent, text: str | None) -> tuple[RejectionReason, ...]:
    report, reasons = sent.report, list[RejectionReason]()
    if report.category is None and not (text and text.strip()):
        reasons.append("says_nothing")
    if report.reported_at and report.reported_at - sent.received_at > FUTURE_ALLOWED:
        reasons.append("reported_in_the_future")
    if report.origin is Origin.IMPORT and _age(sent) > HISTORY_AT_MOST:
        reasons.append("reported_too_long_ago")
    return tuple(reasons)


def not_believed(sent: Sent) -> bool:
    """Whether a live report says that it was made long ago; then the time of receipt counts."""
    return sent.report.origin is Origin.LIVE and _age(sent) > BELIEVED_FOR


def point_of(position: SubmittedPosition | None) -> Point | None:
    """The point that was sent; None for half of one and for 0,0, which is no position."""
    if position is None:
        return None
    longitude, latitude = position.longitude, position.latitude
    if longitude is None or latitude is None:
        return None
    if abs(latitude) < _NULL_ISLAND_DEGREES and abs(longitude) < _NULL_ISLAND_DEGREES:
        return None
    return Point(longitude, latitude)


def _age(sent: Sent) -> timedelta:
    return sent.received_at - (sent.report.reported_at or sent.received_at)


def _positions(sent: Sequence[Sent]) -> list[Position | None]:
    """Each report's point on WGS-84, one calculation a datum."""
    found: list[Position | None] = [None] * len(sent)
    shifted: dict[Datum, list[tuple[int, Point]]] = {}
    for index, each in enumerate(sent):
        position = each.report.position
        if position is None or (point := point_of(position)) is None:
            continue
        if position.datum is Datum.WGS84:
            found[index] = Position(latitude=point.latitude, longitude=point.longitude)
        else:
            shifted.setdefault(position.datum, []).append((index, point))
    for datum, points in shifted.items():
        longitudes, latitudes = to_wgs84(datum, *np.array([point for _, point in points]).T)
        for (index, _), longitude, latitude in zip(
            points, longitudes.tolist(), latitudes.tolist(), strict=True
        ):
            found[index] = Position(
                latitude=round(min(max(latitude, -90.0), 90.0), _DECIMALS),
                longitude=round(min(max(longitude, -180.0), 180.0), _DECIMALS),
            )
    return found
