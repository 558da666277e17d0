"""What the words of a report say about where it is, by the city's gazetteer."""

from typing import Literal

from pydantic import Field

from lastmetre.common.contracts.base import Accuracy, Code, Model, Name, Position

MatchedBy = Literal[
    "house_number", "between_house_numbers", "crossing", "landmark", "water", "road", "quarter",
    "community", "town", "city",
]  # fmt: skip
"""What a candidate's position rests on."""
NotKnown = Literal["no_name", "ambiguous", "contradictory", "unsure", "too_rough"]
"""Why a text tells no position: it names nothing on the map; something that is there more than
once; several that lie apart; a name that may be part of another one; more than can be searched."""


class NamedPlace(Model):
    """A place of the gazetteer, as the city publishes it."""

    place_id: Code
    zh: Name
    en: Name


class WordsSpan(Model):
    """Letters of a report's words as people are shown them: from `start` up to, not including,
    `end`. The words are in the vault."""

    said_in: Literal["address", "text"]
    start: int = Field(ge=0)
    end: int = Field(ge=1)


class PlaceCandidate(Model):
    """Where it may be: within `accuracy_metres` of `position`, if the words mean these places."""

    places: tuple[NamedPlace, ...] = Field(description="one, or the two roads that cross there")
    matched_by: MatchedBy
    position: Position
    accuracy_metres: Accuracy
    confidence: float = Field(ge=0, le=1, description="how sure it is that they mean these")
    spans: tuple[WordsSpan, ...]


class PlaceInWords(Model):
    """What was found in the words of a report that came without a position, likeliest first.

    Without `not_known` the first candidate's position is the report's.
    """

    gazetteer: Code = Field(description="a digest of the gazetteer's contents")
    not_known: NotKnown | None = None
    candidates: tuple[PlaceCandidate, ...]

    @property
    def known(self) -> PlaceCandidate | None:
        """The candidate that the report's position is from."""
        return self.candidates[0] if self.not_known is None else None
