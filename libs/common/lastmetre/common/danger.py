"""Which reports speak of danger: their kind or their words name it."""

import re
from collections.abc import Iterable
from typing import Final

from lastmetre.common.matching import for_matching

_DANGER: Final = re.compile(
    "触电|漏电|带电|电线(?:垂|掉|断|落|裸)|线缆(?:脱落|断)|电缆(?:脱落|断|裸)|燃气|煤气|天然气|液化气"
    "|着火|起火|失火|冒烟|爆炸|坍塌|塌方|塌陷|坠落|溺水|井盖(?:丢失|缺失|没了|不见|被盗|破损)"
    "|有人受伤|受伤了|被困|昏倒"
    r"|\b(?:electrocut\w*|live wires?|wires? (?:is |are )?(?:down|hanging|exposed)|gas leak"
    r"|smell of gas|on fire|smoke|explo\w+|collaps\w+|sinkhole|missing manhole"
    r"|manhole cover (?:is )?(?:missing|gone)|injured|trapped|drown\w*)\b",
    re.IGNORECASE,
)


def names_danger(words: Iterable[str | None]) -> bool:
    """Whether any of a report's kind, text and address names a danger to life."""
    return any(_DANGER.search(for_matching(each)) is not None for each in words if each)
