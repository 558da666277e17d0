"""Which category a text is of, by its words alone.

`develop` is the sample city's texts; `count` was written and labelled before anything that suggests
existed, and is only counted. One person wrote both and the aliases: they hold for how he speaks.
"""

import csv
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from lastmetre.common.category_suggestions import CategorySuggestions
from lastmetre.common.tables.categories import read_categories
from lastmetre.devstack.home import SAMPLE_CITY

AMONG_THREE: Final = 0.9
CONFIDENT: Final = 0.8
"""As `DISPATCH_CATEGORY_CONFIDENCE` unless set: chosen beforehand."""
FILES: Final = {
    "develop": SAMPLE_CITY / "texts.csv",
    "count": Path(__file__).with_name("categories_in_words.csv"),
}


class Labelled(NamedTuple):
    """A text with the category that a person gave it."""

    code: str
    text: str


def labelled(of_set: str) -> list[Labelled]:
    with FILES[of_set].open(encoding="utf-8", newline="") as file:
        return [
            Labelled(row["category"], row["text"].format(street="云溪路", landmark="文化宫"))
            for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("of_set", FILES)
def test_categories_from_words(of_set: str) -> None:
    suggestions = CategorySuggestions(read_categories(SAMPLE_CITY / "categories.csv").suggested())
    texts = labelled(of_set)
    found = [suggestions.suggest(each.text) for each in texts]
    first = [bool(s) and s[0].code == t.code for t, s in zip(texts, found, strict=True)]
    three = [t.code in [each.code for each in s] for t, s in zip(texts, found, strict=True)]
    sure = [
        (s[0].confidence, right)
        for s, right in zip(found, first, strict=True)
        if s and s[0].confidence >= CONFIDENT
    ]
    said = sum(confidence for confidence, _ in sure) / len(sure)
    were = sum(right for _, right in sure) / len(sure)
    print(
        f"{of_set}: {len(texts)} texts of {len({each.code for each in texts})} categories,"
        f" {sum(first) / len(texts):.1%} right, {sum(three) / len(texts):.1%} among three;"
        f" {len(sure)} chosen beforehand, said {said:.1%}, {were:.1%} right"
    )
    assert len({each.code for each in texts}) >= 40
    assert sum(three) >= AMONG_THREE * len(texts)
    assert were >= said, "it is less often right than it says"
