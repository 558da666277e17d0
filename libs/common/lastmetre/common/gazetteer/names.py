"""Which names of a gazetteer stand where in a text."""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import ahocorasick

from lastmetre.common.gazetteer.model import Place
from lastmetre.common.gazetteer.numbers import CHINESE_FROM
from lastmetre.common.matching import for_matching

_ABBREVIATIONS: Final = {
    "street": ("st", "st."), "road": ("rd", "rd."), "avenue": ("ave", "ave.", "av."),
    "boulevard": ("blvd", "blvd."), "lane": ("ln", "ln."), "square": ("sq", "sq."),
    "drive": ("dr", "dr."), "highway": ("hwy", "hwy."),
}  # fmt: skip
_ARTICLE: Final = re.compile(r"^the ")
_SHORTEST: Final = 2


class Mention(NamedTuple):
    """A name in the form of a text, from `start` up to `end`, and the places that bear it."""

    start: int
    end: int
    places: tuple[Place, ...]


class NameIndex:
    """All names and aliases in one automaton (Aho-Corasick): a text is read once, however many
    names there are. Of names that overlap the longest counts: 桥西一路 is not 西一路."""

    def __init__(self, places: Sequence[Place]) -> None:
        named: dict[str, dict[str, Place]] = {}
        for place in places:
            for form in _forms(place):
                named.setdefault(form, {})[place.place_id] = place
        self._automaton: Any = ahocorasick.Automaton()
        for form, bearers in named.items():
            self._automaton.add_word(form, (len(form), tuple(bearers.values())))
        self._automaton.make_automaton()
        self._empty = not named

    def mentions(self, form: str) -> list[Mention]:
        """In the order of the text."""
        if self._empty:
            return []
        found = [
            Mention(last + 1 - length, last + 1, places)
            for last, (length, places) in self._automaton.iter(form)
            if _stands_alone(form, last + 1 - length, last + 1)
        ]
        found.sort(key=lambda each: (each.start - each.end, each.start))
        kept: list[Mention] = []
        for each in found:
            if all(each.end <= other.start or each.start >= other.end for other in kept):
                kept.append(each)
        return sorted(kept)


def _forms(place: Place) -> set[str]:
    forms = set()
    for name in place.names:
        form = _ARTICLE.sub("", for_matching(name))
        if len(form) < _SHORTEST:
            continue
        forms.add(form)
        head, _, last = form.rpartition(" ")
        forms.update(f"{head} {each}" for each in _ABBREVIATIONS.get(last, ()) if head)
    return forms


def _stands_alone(form: str, start: int, end: int) -> bool:
    """Scripts with spaces between words: no part of a word. Chinese has none."""
    return not (
        (start > 0 and _of_a_word(form[start]) and _of_a_word(form[start - 1]))
        or (end < len(form) and _of_a_word(form[end - 1]) and _of_a_word(form[end]))
    )


def _of_a_word(letter: str) -> bool:
    return letter.isalnum() and ord(letter) <= CHINESE_FROM
