"""Which reports speak of danger: their kind or their words name it."""

import re
from collections.abc import Iterable
from typing import Final

from lastmetre.common.matching import for_matching

_NEAR: Final = "[^，。；！？,.;!?]{0,8}?"
"""A few letters of the same clause."""
_DANGER: Final = re.compile(
    "触电|漏电|带电|燃气|煤气|天然气|液化气"
    rf"|(?:电线|高压线|线缆|电缆|光缆)(?!杆){_NEAR}(?:垂|掉|断|落|裸|拖在|露在)"
    "|着火|起火|失火|冒烟|爆炸|坍塌|倒塌|垮塌|塌方|塌陷|塌了|坠落|溺水"
    rf"|(?:井盖|箅子|篦子){_NEAR}(?:丢|缺失|没了|不见|被盗|被偷|掀|破损)"
    "|有人受伤|受伤了|被困|困在|困人|昏倒|晕倒"
    r"|\b(?:electrocut\w*|live wires?|(?:wires?|cables?) (?:is |are )?(?:down|hanging|exposed)"
    r"|gas leak|smell of gas|on fire|smoke|explo\w+|collaps\w+|sinkhole"
    r"|(?:missing|open) manhole"
    r"|manhole cover (?:is )?(?:missing|gone|stolen)|injured|trapped|drown\w*)\b",
    re.IGNORECASE,
)


def names_danger(words: Iterable[str | None]) -> bool:
    """Whether any of a report's kind, text and address names a danger to life."""
    return any(_DANGER.search(for_matching(each)) is not None for each in words if each)
