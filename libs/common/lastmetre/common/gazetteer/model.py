"""What a gazetteer holds, and what is found by it in a text."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from lastmetre.common.contracts.base import Position
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.place_in_words import MatchedBy, NotKnown


class PlaceKind(StrEnum):
    """What a name on the map stands for. A quarter is a part of a community with a name of its
    own, a housing estate for example."""

    CITY = "city"
    TOWN = "town"
    COMMUNITY = "community"
    QUARTER = "quarter"
    ROAD = "road"
    LANDMARK = "landmark"
    WATER = "water"


ENCLOSING = frozenset({PlaceKind.CITY, PlaceKind.TOWN, PlaceKind.COMMUNITY, PlaceKind.QUARTER})
"""Others lie in these: they have outlines."""


class HouseNumber(NamedTuple):
    """Where a house of a road stands; degrees on WGS-84."""

    number: int
    longitude: float
    latitude: float


@dataclass(frozen=True)
class Place:
    """A name on the map. `shape` is shapely's, on WGS-84: an outline where others lie in it, lines
    for a road, a point or an outline for a landmark, any of them for water."""

    place_id: str
    kind: PlaceKind
    name: LocalName
    shape: Any
    aliases: tuple[str, ...] = ()
    numbers: tuple[HouseNumber, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All by which a text may call it."""
        return (self.name.zh, self.name.en, *self.aliases)


class Span(NamedTuple):
    """Letters of a text as it was given: from `start` up to, not including, `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """Where it may be: within `accuracy_metres` of `position`, if the words mean these places.

    `confidence` (0 to 1): how sure it is that they do.
    """

    place_ids: tuple[str, ...]
    matched_by: MatchedBy
    position: Position
    accuracy_metres: float
    confidence: float
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a text says about where. The likeliest candidate stands first."""

    candidates: tuple[Candidate, ...] = ()
    not_known: NotKnown | None = "no_name"

    @property
    def known(self) -> Candidate | None:
        """The position, if the text leaves no doubt."""
        return self.candidates[0] if self.not_known is None else None


@dataclass(frozen=True)
class Gazetteer:
    """The places of a city. `version` changes with their contents."""

    places: Sequence[Place] = ()
    version: str = ""
