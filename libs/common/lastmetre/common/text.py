"""Text that people typed or pasted, without what no field of theirs can mean."""

import re
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
# Word and PowerPoint write a line break within a paragraph as a vertical tab.
_CONTROL_MEANS: Final = {
    **{code: None for code in (*range(32), 127) if chr(code) not in "\t\n"},
    **{ord(break_): "\n" for break_ in "\v\f\r"},
}

MARKS: Final = r"\xad\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
"""Zero width, and turning the direction of writing: they come along when something is copied. For a
class of a regular expression."""
_MARKS: Final = re.compile(f"[{MARKS}]")


def without_marks(text: str) -> str:
    """`text` without marks that nobody sees."""
    return text if text.isascii() else _MARKS.sub("", text)


def cleaned(text: str) -> str:
    """`text` without control characters; what stands for a line break becomes one."""
    if _CONTROL.search(text) is None:
        return text
    return text.replace("\r\n", "\n").translate(_CONTROL_MEANS)


def one_line(text: str) -> str:
    """`text` in one line, any white space in it a single space: names stand in mail headers."""
    return cleaned(" ".join(text.split()))
