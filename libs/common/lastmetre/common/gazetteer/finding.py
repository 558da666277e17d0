"""Positions from the words of a report: the names in it, read together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely

from lastmetre.common.contracts.place_in_words import MatchedBy, NotKnown
from lastmetre.common.gazetteer.model import (
    ENCLOSING,
    Candidate,
    Finding,
    Gazetteer,
    PlaceKind,
    Span,
)
from lastmetre.common.gazetteer.names import Mention, NameIndex
from lastmetre.common.gazetteer.numbers import Written, written_at
from lastmetre.common.gazetteer.readings import (
    Drawn,
    Plane,
    Reading,
    crossings,
    farther,
    reach,
    reading_of,
)
from lastmetre.common.gazetteer.wording import (
    LANE_METRES,
    lane_off,
    metres_away,
    only_towards,
    part_of_longer_name,
    says_crossing,
)
from lastmetre.common.matching import FormOf, form_of

TOGETHER_METRES: Final = 200.0
"""Places that a text names together are as near to each other as this."""
MOST_CANDIDATES: Final = 5
MOST_NAMES: Final = 12
"""Different ones in a text: a list of places is no place, and each is looked at with each other."""
CONFIDENCE: Final[dict[MatchedBy, float]] = {
    "house_number": 0.98, "between_house_numbers": 0.95, "crossing": 0.95, "landmark": 0.95,
    "quarter": 0.9, "road": 0.9, "water": 0.85, "community": 0.9, "town": 0.9, "city": 0.9,
}  # fmt: skip
"""If nothing else is said against it."""
LONGER_NAME: Final = 0.6
SIDE_LANE: Final = 0.8
NUMBER_MISSING: Final = 0.6
ONLY_NAMED: Final = 0.8
"""Two roads that meet, of which the text does not say that it is there."""
CONTRADICTED: Final = 0.5


@dataclass(frozen=True)
class Limits:
    """Below `confidence`, or rougher than `metres`, a text tells no position."""

    confidence: float = 0.8
    metres: float = 1500.0


LIMITS: Final = Limits()


class Finder:
    """A gazetteer, ready for many texts. Pure: the same text gives the same."""

    def __init__(self, gazetteer: Gazetteer, limits: Limits = LIMITS) -> None:
        self.version = gazetteer.version
        self._limits = limits
        self._names = NameIndex(gazetteer.places)
        shapes = [place.shape for place in gazetteer.places]
        _, south, _, north = shapely.total_bounds(shapes) if shapes else np.zeros(4)
        self._plane = Plane(float(south + north) / 2)
        self._drawn = {place.place_id: Drawn(place, self._plane) for place in gazetteer.places}

    def find_places(self, texts: Sequence[str]) -> list[Finding]:
        """Of each text, where it says that something is. Spans are of the text as given."""
        return [self._find(text) for text in texts]

    def _find(self, text: str) -> Finding:
        written = form_of(text)
        named: dict[tuple[tuple[str, ...], int | None], Mention] = {}
        for each in self._names.mentions(written.form):
            if not only_towards(written.form, each):
                number = _number(written.form, each)
                meant = _with_houses(each) if number else each
                means = tuple(place.place_id for place in meant.places)
                named.setdefault((means, number.number if number else None), meant)
        mentions = list(named.values())
        if not mentions:
            return Finding()
        if len(mentions) > MOST_NAMES:
            return Finding(not_known="contradictory")
        return _Words(written, mentions, self._drawn, self._plane, self._limits).finding()


class _Words:
    """The names of one text."""

    def __init__(
        self, text: FormOf, mentions: list[Mention], drawn: dict[str, Drawn],
        plane: Plane, limits: Limits,
    ) -> None:  # fmt: skip
        self._text, self._mentions, self._drawn = text, mentions, drawn
        self._plane, self._limits = plane, limits
        self._numbers = [_number(text.form, each) for each in mentions]

    def finding(self) -> Finding:
        """The readings that most of the names agree with, the most exact first."""
        readings = [
            farther(each, self._doubt(each))
            for each in (*self._single(), *crossings(self._mentions, self._drawn))
        ]
        agreed = [self._agreeing(each) for each in readings]
        order = sorted(
            range(len(readings)),
            key=lambda i: (-agreed[i], readings[i].metres, readings[i].place_ids),
        )
        best = readings[order[0]]
        rivals = [
            readings[i]
            for i in order[1:]
            if agreed[i] >= agreed[order[0]] and not _together(best, readings[i])
        ]
        contradicted = agreed[order[0]] < len(self._mentions)
        share = CONTRADICTED if contradicted else 1.0
        told = self._candidate(best, share / (1 + len(rivals)))
        too_rough = told.accuracy_metres > self._limits.metres
        others = rivals or [
            readings[i] for i in order[1:] if too_rough or not _together(best, readings[i])
        ]
        candidates = [told] + [self._candidate(each, share / (1 + len(rivals))) for each in others]
        reason: NotKnown | None = None
        if contradicted:
            reason = "contradictory"
        elif rivals:
            reason = "ambiguous"
        elif told.confidence < self._limits.confidence:
            reason = "unsure"
        elif too_rough:
            reason = "too_rough"
        return Finding(tuple(candidates[:MOST_CANDIDATES]), reason)

    def _single(self) -> list[Reading]:
        readings = []
        for index, mention in enumerate(self._mentions):
            for place in mention.places:
                drawn = self._drawn[place.place_id]
                within = [
                    self._drawn[around.place_id].around
                    for other, each in enumerate(self._mentions)
                    if other != index
                    for around in each.places
                    if around.kind in ENCLOSING
                ]
                readings.append(reading_of(index, drawn, self._numbers[index], within))
        return readings

    def _agreeing(self, reading: Reading) -> int:
        """How many of the names it is made of, or lies in or near."""
        return sum(
            index in reading.mentions or self._near(reading, mention)
            for index, mention in enumerate(self._mentions)
        )

    def _near(self, reading: Reading, mention: Mention) -> bool:
        around = [self._drawn[place.place_id].around for place in mention.places]
        allowed = [0.0 if place.kind in ENCLOSING else TOGETHER_METRES for place in mention.places]
        return bool((shapely.distance(reading.shape, around) <= allowed).any())

    def _doubt(self, reading: Reading) -> float:
        """What the words around its names add to its accuracy, metres."""
        added = 0.0
        for index in reading.mentions:
            mention, number = self._mentions[index], self._numbers[index]
            start, end = mention.start, mention.end
            if number is not None:
                start, end = min(start, number.start), max(end, number.end)
            added = max(added, metres_away(self._text.form, start, end))
            if lane_off(self._text.form, mention):
                added += LANE_METRES
        return added

    def _candidate(self, reading: Reading, share: float) -> Candidate:
        confidence = CONFIDENCE[reading.matched_by] * share
        if reading.number_missing:
            confidence *= NUMBER_MISSING
        if reading.matched_by == "crossing":
            first, second = (self._mentions[index] for index in reading.mentions)
            if not says_crossing(self._text.form, first, second):
                confidence *= ONLY_NAMED
        for index in reading.mentions:
            before = self._mentions[index - 1].end if index else 0
            if part_of_longer_name(self._text.form, self._mentions[index], before):
                confidence *= LONGER_NAME
            if lane_off(self._text.form, self._mentions[index]):
                confidence *= SIDE_LANE
        return Candidate(
            reading.place_ids,
            reading.matched_by,
            self._plane.position(reading.point),
            round(reading.metres, 1),
            round(confidence, 3),
            tuple(self._span(index, reading) for index in reading.mentions),
        )

    def _span(self, index: int, reading: Reading) -> Span:
        start, end = self._mentions[index].start, self._mentions[index].end
        number = self._numbers[index]
        if number is not None and reading.matched_by in ("house_number", "between_house_numbers"):
            start, end = min(start, number.start), max(end, number.end)
        return Span(self._text.starts[start], self._text.ends[end - 1])


def _with_houses(mention: Mention) -> Mention:
    """Only the roads of that name: a house number stands with it."""
    return mention._replace(places=tuple(e for e in mention.places if e.kind is PlaceKind.ROAD))


def _number(form: str, mention: Mention) -> Written | None:
    """The house number that stands with a road's name."""
    if all(place.kind is not PlaceKind.ROAD for place in mention.places):
        return None
    return written_at(form, mention.start, mention.end)


def _together(best: Reading, other: Reading) -> bool:
    """Whether whoever goes to the better one is right in both cases. Of two places of one name
    that holds only if the one's circle has the other as well."""
    if set(best.mentions) & set(other.mentions) and len(best.mentions) == len(other.mentions):
        return reach(best.point, other.shape) <= best.metres + TOGETHER_METRES
    return bool(shapely.distance(best.shape, other.shape) <= TOGETHER_METRES)
