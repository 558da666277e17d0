"""Which categories the words of a report speak of, by the categories' names and aliases.

Nothing is learned from cases here: it works from the first day. The confidence is how often
suggestions of that strength were right in texts that people labelled (`tests/labelled`).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from math import log
from typing import Final, NamedTuple

from lastmetre.common.categories import Category
from lastmetre.common.matching import for_matching

_LONGEST_COUNTED: Final = 6
"""Letters: a longer word says no more."""
_LATIN: Final = 2.0
"""What a word in letters weighs, in Chinese characters: about one Chinese word."""
_TOGETHER: Final = 1.5
"""What it weighs more that all words of an alias stand there, for each after the first."""
_WITHIN_ANOTHER: Final = 0.4
"""What is left of the weight of a word that is part of a longer one that was found."""
_PIECE_OF_NAME: Final = 0.5
_DOUBT: Final = 2.0
"""The weight of all that the words may mean and no alias says."""
_NAME_PARTS: Final = re.compile(r"[、/()（）,，;；]")


class CategorySuggestion(NamedTuple):
    """A category that a text may be of."""

    code: str
    confidence: float
    """How sure it is, 0 to 1."""
    words: tuple[str, ...]
    """What in the text led to it, in the form of `for_matching`, longest first."""


class CategorySuggestions:
    """Suggests the categories it is made with. Pure: the same words give the same."""

    def __init__(self, categories: Iterable[Category]) -> None:
        self._aliases: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._pieces: dict[str, list[str]] = defaultdict(list)
        self._codes: list[str] = []
        for category in categories:
            self._codes.append(category.code)
            for alias in dict.fromkeys(_aliases_of(category)):
                self._aliases[alias].append(category.code)
            for piece in dict.fromkeys(map("".join, pairwise(for_matching(category.name.zh)))):
                if not piece.isascii():
                    self._pieces[piece].append(category.code)
        self._words = {word for alias in self._aliases for word in alias}

    def suggest(self, text: str, most: int = 3) -> list[CategorySuggestion]:
        """The likeliest categories of `text`, best first; none where nothing speaks for one."""
        text = for_matching(text)
        found = {word for word in self._words if _stands_in(word, text)}
        weights: dict[str, dict[str, float]] = defaultdict(dict)
        for alias, codes in self._aliases.items():
            if found.issuperset(alias):
                for code in codes:
                    for word, weight in _weights(alias, found):
                        before = weights[code].get(word, 0.0)
                        weights[code][word] = max(before, weight)
        scores = {code: sum(each.values()) for code, each in weights.items()}
        for piece, codes in self._pieces.items():
            if piece in text:
                rare = log(len(self._codes) / len(codes) + 1) / log(len(self._codes) + 1)
                for code in codes:
                    scores[code] = scores.get(code, 0.0) + _PIECE_OF_NAME * rare
                    weights[code].setdefault(piece, 0.0)
        squares = _DOUBT**2 + sum(score**2 for score in scores.values())
        best = sorted(scores, key=lambda code: -scores[code])[:most]
        return [
            CategorySuggestion(code, scores[code] ** 2 / squares, _longest_first(weights[code]))
            for code in best
        ]


def _aliases_of(category: Category) -> Iterator[tuple[str, ...]]:
    for part in _NAME_PARTS.split(category.name.zh):
        if word := for_matching(part):
            yield (word,)
    if category.name.en != category.name.zh:
        yield (for_matching(category.name.en),)
    for alias in category.aliases:
        # In Latin letters several words are a phrase, in Chinese ones that stand anywhere.
        words = for_matching(alias)
        yield (words,) if words.isascii() else tuple(words.split())


def _stands_in(word: str, text: str) -> bool:
    if not word.isascii():
        return word in text
    return word in text and re.search(rf"\b{re.escape(word)}(?:s|es)?\b", text) is not None


def _weights(alias: tuple[str, ...], found: set[str]) -> Iterator[tuple[str, float]]:
    for number, word in enumerate(alias):
        letters = _LATIN * len(word.split()) if word.isascii() else float(len(word))
        weight = min(letters, _LONGEST_COUNTED)
        if len(alias) == 1 and any(word in each and word != each for each in found):
            weight *= _WITHIN_ANOTHER
        yield word, weight + (_TOGETHER if number else 0.0)


def _longest_first(words: Mapping[str, float]) -> tuple[str, ...]:
    kept = [w for w in words if not any(w != other and w in other for other in words)]
    return tuple(sorted(kept, key=lambda word: (-words[word], word)))
