"""Where a report is that came without a position: what the gazetteer finds in its words."""

from collections.abc import Sequence
from typing import Final

from lastmetre.common.contracts.place_in_words import (
    NamedPlace,
    PlaceCandidate,
    PlaceInWords,
    WordsSpan,
)
from lastmetre.common.gazetteer.finding import Finder, Limits
from lastmetre.common.gazetteer.model import Candidate, Finding, Gazetteer, Span

_BETWEEN: Final = "\n"


class PlacesInWords:
    """A gazetteer, as intake uses it. Pure: the same words say the same."""

    def __init__(self, gazetteer: Gazetteer, limits: Limits) -> None:
        self._finder = Finder(gazetteer, limits)
        self._version = gazetteer.version
        self._named = {
            each.place_id: NamedPlace(place_id=each.place_id, zh=each.name.zh, en=each.name.en)
            for each in gazetteer.places
        }

    def of(self, words: Sequence[tuple[str, str]]) -> list[PlaceInWords | None]:
        """What each report's address and text, read together, say; None: they name nothing."""
        texts = [address + _BETWEEN + text for address, text in words]
        return [
            self._told(finding, len(address))
            for finding, (address, _) in zip(self._finder.find_places(texts), words, strict=True)
        ]

    def _told(self, finding: Finding, address_length: int) -> PlaceInWords | None:
        if finding.not_known == "no_name":
            return None
        return PlaceInWords(
            gazetteer=self._version,
            not_known=finding.not_known,
            candidates=tuple(self._candidate(each, address_length) for each in finding.candidates),
        )

    def _candidate(self, candidate: Candidate, address_length: int) -> PlaceCandidate:
        return PlaceCandidate(
            places=tuple(self._named[each] for each in candidate.place_ids),
            matched_by=candidate.matched_by,
            position=candidate.position,
            accuracy_metres=candidate.accuracy_metres,
            confidence=candidate.confidence,
            spans=tuple(_said(each, address_length) for each in candidate.spans),
        )


def _said(span: Span, address_length: int) -> WordsSpan:
    if span.start < address_length:
        return WordsSpan(said_in="address", start=span.start, end=min(span.end, address_length))
    before = address_length + len(_BETWEEN)
    return WordsSpan(said_in="text", start=max(span.start - before, 0), end=span.end - before)
