"""What senders call the categories: the city's own, and those of the national catalogue."""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from lastmetre.common.categories import UNKNOWN, Categories
from lastmetre.common.matching import for_matching

_REMEMBERED: Final = 4096
"""Senders use the same few words again and again."""
_BETWEEN_LEVELS: Final = re.compile(r"[/\\>|→»]|--|——")
_NUMBERED: Final = re.compile(r"(?:(.*?)[:\s-]*)?\b(\d{5})[:\s-]*(.*)", re.ASCII)
_KINDS: Final = {"part": ("管理部件", "部件"), "matter": ("管理事项", "事项")}
"""The kinds of the catalogue, of which each numbers its own: by our word, what senders write."""


class CategoryCodes:
    """The codes by what channels send. `mapped`: by channel (empty: any) and their name."""

    def __init__(
        self, categories: Categories, mapped: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self._categories = categories
        self._mapped = dict(mapped or {})
        self._mapped_words = {
            (channel, for_matching(sent)): code for (channel, sent), code in self._mapped.items()
        }
        self._words: dict[str, str | None] = {}
        for code in categories.all_codes():
            for word in _words_of(code, categories):
                # What means two categories says neither.
                known = self._words.setdefault(word, code)
                self._words[word] = code if known == code else None
        self._recognised = lru_cache(_REMEMBERED)(self._recognise)

    def code(self, channel: str, sent: str | None) -> str:
        """The code for what `channel` sent, or `unknown`: by itself, by the city's map, by name in
        either script, by the catalogue's number, of several levels by the last that says one.
        """
        if sent is None:
            return UNKNOWN
        if sent in self._categories:
            return sent
        found = self._mapped.get((channel, sent)) or self._mapped.get(("", sent))
        return found or self._recognised(channel, sent)

    def _recognise(self, channel: str, sent: str) -> str:
        words = for_matching(sent)
        levels = [for_matching(each) for each in _BETWEEN_LEVELS.split(words)]
        for each in (words, *reversed(levels)):
            found = (
                self._mapped_words.get((channel, each))
                or self._mapped_words.get(("", each))
                or self._words.get(each)
                or self._numbered(each)
            )
            if found:
                return found
        return UNKNOWN

    def _numbered(self, words: str) -> str | None:
        """The category of `06010 暴露垃圾`: number and name have to agree."""
        match = _NUMBERED.fullmatch(words)
        if match is None:
            return None
        by_name = self._words.get(match[3]) or self._words.get(match[1] or "")
        by_number = self._words.get(f"{match[1] or ''}{match[2]}") or self._words.get(match[2])
        if by_name is None:
            return by_number if not match[3] else None
        return by_name if by_name.endswith(f":{match[2]}") else None


def _words_of(code: str, categories: Categories) -> Iterator[str]:
    """What else than its code says a category."""
    name = categories.name(code)
    yield from {for_matching(name.zh), for_matching(name.en), for_matching(code)}
    kind, _, number = code.partition(":")
    if kind in _KINDS:
        yield number
        yield from (f"{prefix}{number}" for prefix in _KINDS[kind])
