"""Words as their sender meant them to be read, where a system on their way has spoilt them."""

import html
import re
from typing import Final

from lastmetre.common.text import MARKS, cleaned, without_marks

_ATTRIBUTE: Final = r"""\s+[\w:-]+\s*=\s*(?:"[^"]*"|'[^']*'|[^\s"'<>]+)"""
_REST: Final = rf"(?:{_ATTRIBUTE})*\s*/?>"
# Known tags alone: whoever writes <停车场> or a < b means it.
_BREAK: Final = re.compile(
    r"<(?:br|hr)\b"
    + _REST
    + r"|</?(?:address|article|blockquote|body|dd|div|dl|dt|form|h[1-6]|head|"
    r"html|li|ol|p|pre|section|table|tbody|thead|title|tr|ul)\b" + _REST,
    re.IGNORECASE,
)
_INLINE: Final = re.compile(
    r"</?(?:a|b|big|center|code|em|font|i|img|input|label|link|meta|o:p|s|small|span|strong|sub|"
    r"sup|td|th|u|wbr)\b" + _REST + r"|<!doctype\b[^<>]*>",
    re.IGNORECASE,
)
_UNSEEN: Final = re.compile(r"<!--|<(?:script|style)\b", re.IGNORECASE)
_SEEN_AGAIN: Final = re.compile(r"(-->|</(?:script|style)\s*>)", re.IGNORECASE)
_ENTITY: Final = re.compile(r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[^\S\n]+")
_BLANK_LINES: Final = re.compile(r"\s*\n\s*")
_ESCAPED_AT_MOST: Final = 3
"""Times that a text is escaped on its way: by a page, by an export, by a form."""

# What UTF-8 read as an encoding of one byte a character begins with, and the controls of C1.
_MOJIBAKE: Final = r"\x80-\x9f\xc2-\xd6\xd8-\xf6"
_MAY_BE_MOJIBAKE: Final = re.compile(f"[{_MOJIBAKE}]")
_SPOILT: Final = re.compile(f"[<&{_MOJIBAKE}{MARKS}]")


def readable(text: str) -> str:
    """`text` without tags and entities of HTML, encodings undone that were not meant, without marks
    that nobody sees. Most texts are as they were typed: that is found out in one look.
    """
    # An expression takes ten times as long as `in` does, where that is enough.
    spoilt = ("<" in text or "&" in text) if text.isascii() else _SPOILT.search(text)
    if not spoilt:
        return text
    decoded = _decoded(_without_html(text))
    return cleaned(without_marks(decoded).replace("\xa0", " ")).strip()


def _without_html(text: str) -> str:
    for _ in range(_ESCAPED_AT_MOST):
        without = _seen(text)
        tags = _INLINE.sub("", _BREAK.sub("\n", without))
        if tags != text:
            text = _BLANK_LINES.sub("\n", _BLANKS.sub(" ", tags))
        plain = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text)
        if plain == text:
            break
        text = plain
    return text


def _seen(text: str) -> str:
    """Without comments, scripts and styles that have an end."""
    kept: list[str] = []
    parts = _SEEN_AGAIN.split(text)
    for part, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
        unseen = _UNSEEN.search(part) if end else None
        kept.append(part[: unseen.start()] if unseen else part + end)
    return "".join(kept)


def _decoded(text: str) -> str:
    """As far as ftfy can tell what was meant; what is no mojibake stays as it is."""
    if _MAY_BE_MOJIBAKE.search(text) is None:
        return text
    # Eight MiB, for the few texts that look so.
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    lines = text.split("\n")
    return "\n".join(fix_encoding(line) if is_bad(line) else line for line in lines)
