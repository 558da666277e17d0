"""House numbers: as texts write them, and where along a road they are."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import shapely
from shapely.ops import substring

HOUSE_METRES: Final = 30.0
"""How far from a house's point one may stand who gives its number."""
CHINESE_FROM: Final = 0x2E7F
"""Letters above it are written without spaces between words."""
BETWEEN: Final = 0.25
"""Houses are not spread evenly: of the way between two known ones, how much one may be off."""
_NUMBER: Final = r"(?:[0-9]{1,5}|[零〇一二两三四五六七八九十百千]{1,7})"
_CHINESE: Final = re.compile(
    # 12号楼, 3号门, 5号线 are no house numbers.
    rf"[ ,]?(?:门牌|第)?({_NUMBER})(?:[-之][0-9一二三四五六七八九十]+)? ?"
    r"号(?!门(?!口)|[楼线机桩井桥库车])"
)
_LATIN_BEHIND: Final = re.compile(
    r",? ?(?:(?:no\.?|nr\.?|number|#) ?([0-9]{1,5})(?![0-9])"
    r"|([0-9]{1,5}) ?[a-z]?(?:[-/][0-9]{1,5}[a-z]?)?(?=$| ?[,;.:)(\n]))"
)
_LATIN_BEFORE: Final = re.compile(
    r"(?<![0-9a-z.:-])(?:(?:no\.?|nr\.?|number|#) ?)?([0-9]{1,5}) ?[a-z]?"
    r"(?:[-/][0-9]{1,5}[a-z]?)?,? $"
)
_DIGITS: Final = {letter: value for value, letter in enumerate("零一二三四五六七八九")} | {
    "〇": 0, "两": 2,
}  # fmt: skip
_UNITS: Final = {"十": 10, "百": 100, "千": 1000}


class Written(NamedTuple):
    """A house number in the form of a text, from `start` up to `end`."""

    number: int
    start: int
    end: int


class Along(NamedTuple):
    """A point of a plane, metres; `exact` if the very house is known."""

    point: Any
    accuracy_metres: float
    exact: bool


def number_of(digits: str) -> int:
    """What Arabic or Chinese digits stand for: 118, 一百一十八, 一一八."""
    if digits.isascii():
        return int(digits)
    if not _UNITS.keys() & set(digits):
        return int("".join(str(_DIGITS[letter]) for letter in digits))
    total, digit = 0, 0
    for letter in digits:
        if letter in _UNITS:
            total += (digit or 1) * _UNITS[letter]
            digit = 0
        else:
            digit = _DIGITS[letter]
    return total + digit


def written_at(form: str, start: int, end: int) -> Written | None:
    """The number that stands with a road's name, which is `form[start:end]`: behind it with 号, in
    Latin script before or behind it."""
    if found := _CHINESE.match(form, end):
        return Written(number_of(found[1]), end, found.end())
    if ord(form[end - 1]) > CHINESE_FROM:
        return None
    if found := _LATIN_BEHIND.match(form, end):
        return Written(int(found[1] or found[2]), end, found.end())
    before = max(0, start - 20)
    if found := _LATIN_BEFORE.search(form[before:start]):
        return Written(int(found[1]), before + found.start(), start)
    return None


def along(number: int, known: Sequence[tuple[int, Any]], line: Any) -> Along | None:
    """Where a number is among a road's known ones (ascending), all on a plane in metres; None
    beyond them. Between two, of its own side if that is known, the way along the line counts."""
    for each, point in known:
        if each == number:
            return Along(point, HOUSE_METRES, exact=True)
    same_side = [each for each in known if each[0] % 2 == number % 2]
    for side in (same_side, known):
        for (low, first), (high, second) in pairwise(side):
            if low < number < high:
                share = (number - low) / (high - low)
                return _between(first, second, share, line)
    return None


def _between(first: Any, second: Any, share: float, line: Any) -> Along:
    way = shapely.LineString([first, second])
    if line.geom_type == "LineString":
        start, end = line.project(first), line.project(second)
        if abs(end - start) > 0:
            way = substring(line, start, end)
    doubt = max(HOUSE_METRES, way.length * BETWEEN)
    return Along(way.interpolate(share, normalized=True), doubt, exact=False)
