"""Which areas a report's own words name, for cases without a place on the map."""

import re
from collections.abc import Iterable
from typing import Final

from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.matching import for_matching
from lastmetre.dispatch.domain.network import Area

_SUFFIX: Final = re.compile(r"(?:责任)?(?:片区|网格|社区|村)$| area$", re.IGNORECASE)
_SHORTEST: Final = 2


def named_in(words: Iterable[str | None], areas: Iterable[Area], most: int) -> list[Area]:
    """The areas with a lead whose name stands in the words, those of a named town first, then the
    longest names; without any, nobody is suggested."""
    text = " ".join(for_matching(each) for each in words if each)
    found = [
        (_stands_in(area.town, text), length, area)
        for area in areas
        if area.lead and (length := _stands_in(area.name, text))
    ]
    found.sort(key=lambda each: (-each[0], -each[1], each[2].area_id))
    return [area for _, _, area in found[:most]]


def _stands_in(name: LocalName | None, text: str) -> int:
    """How much of a name stands in the text, in either language; 0: it does not."""
    if name is None:
        return 0
    bases = (for_matching(_SUFFIX.sub("", each)) for each in (name.zh, name.en))
    return max((len(each) for each in bases if len(each) >= _SHORTEST and each in text), default=0)
