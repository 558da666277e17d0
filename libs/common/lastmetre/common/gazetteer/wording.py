"""What the words beside a name do to it: away from it, towards it, part of a longer name."""

import re
from typing import Final

from lastmetre.common.gazetteer.names import Mention
from lastmetre.common.gazetteer.numbers import CHINESE_FROM, number_of

NEAR_METRES: Final = 100.0
LANE_METRES: Final = 300.0
"""How far a lane that the map does not have may lead away from the road that it is named after."""
_NEAR: Final = re.compile(
    r" ?(?:的)?(?:附近|旁|边上|对面|周边|一带|斜对)|[, ]{1,2}(?:area|vicinity)\b"
)
_NEAR_BEFORE: Final = re.compile(
    r"(?:\b(?:near|opposite|close to|next to|beside|around|behind)(?: the)? |靠近|临近)$"
)
_AWAY: Final = re.compile(
    r"[^0-9,;。]{0,4}?([0-9]+(?:\.[0-9]+)?|[一二两三四五六七八九十百千]+) ?"
    r"(米|m\b|metres?\b|meters?\b|公里|千米|km\b|里)(?!宽|长|深|高)"
)
_AWAY_BEFORE: Final = re.compile(
    r"\b([0-9]+(?:\.[0-9]+)?) ?(m|metres?|meters?|km) (?:\w+ )?"
    r"(?:of|from|past|after|before) (?:the )?$"
)
_FAR: Final = frozenset({"公里", "千米", "km"})
_TOWARDS: Final = re.compile(r"方向")
_TOWARDS_BEFORE: Final = re.compile(
    r"(?:开往|前往|去往|通往|驶往|往|\btowards?(?: the)? |\bbound for )$"
)
_LANE: Final = re.compile(
    r"[一二三四五六七八九十东南西北上下0-9]{1,3}(?:巷|里弄|弄|支路|横街|横路|街|路(?![灯口面边段牌沿障基]))"
)
_GLUED: Final = frozenset("新老大小北南西东")
_GLUED_LATIN: Final = re.compile(
    r"\b(?:north|south|east|west|new|old|upper|lower|great|little)\.? $"
)
_GLUED_BEHIND: Final = re.compile(r" (?:north|south|east|west|extension)\b")
_MEET: Final = re.compile(
    r"交叉|交汇|交界|路口|街口|转角|拐角|近|\b(?:corner|crossing|crossroads|junction|intersection|at|near)\b|/"
)
_UNKNOWN_TOWN: Final = re.compile(r"(?:(?<![城超夜])市|镇|乡|县|街道)$")


def metres_away(form: str, start: int, end: int) -> float:
    """How far from what is named at `form[start:end]` it is by the words around it."""
    if found := _AWAY.match(form, end) or _AWAY_BEFORE.search(form[max(0, start - 40) : start]):
        digits, unit = found[1], found[2]
        number = float(digits) if digits.isascii() else float(number_of(digits))
        return number * (1000.0 if unit in _FAR else 500.0 if unit == "里" else 1.0)
    if _NEAR.match(form, end) or _NEAR_BEFORE.search(form[max(0, start - 20) : start]):
        return NEAR_METRES
    return 0.0


def only_towards(form: str, mention: Mention) -> bool:
    """Whether the name only tells a direction: 往会展中心方向."""
    before = form[max(0, mention.start - 15) : mention.start]
    return bool(_TOWARDS.match(form, mention.end) or _TOWARDS_BEFORE.search(before))


def lane_off(form: str, mention: Mention) -> bool:
    """Whether what follows makes it the name of a side lane: 鼓楼前街二巷."""
    return _LANE.match(form, mention.end) is not None


def part_of_longer_name(form: str, mention: Mention, known_until: int) -> bool:
    """Whether the letters before it, which nothing known has (it ends at `known_until`), may belong
    to its name, or name a town that the map does not have: 新鼓楼前街, 沙门镇人民路."""
    start = mention.start
    if ord(form[start]) <= CHINESE_FROM:
        glued = start > known_until and _GLUED_LATIN.search(form[known_until:start])
        return bool(glued or _GLUED_BEHIND.match(form, mention.end))
    if start == known_until:
        return False
    before = form[max(known_until, start - 6) : start]
    return before[-1] in _GLUED or _UNKNOWN_TOWN.search(before) is not None


def says_crossing(form: str, first: Mention, second: Mention) -> bool:
    """Whether the words say that it is where the two meet, and do not only name both."""
    return _MEET.search(form, max(0, first.start - 15), second.end + 8) is not None
