"""What a text may be about, by names and aliases of categories."""

import pytest

from lastmetre.common.categories import Categories, Category
from lastmetre.common.category_suggestions import CategorySuggestions
from lastmetre.common.contracts.cases import LocalName

LAMP = Category(
    code="lamp", name=LocalName(zh="路灯", en="Street lamp"), aliases=("灯杆", "lamp post")
)
BIN = Category(
    code="bin", name=LocalName(zh="垃圾箱", en="Litter bin"), aliases=("垃圾桶", "垃圾桶 满")
)
RUBBISH = Category(
    code="rubbish", name=LocalName(zh="暴露垃圾", en="Exposed rubbish"), aliases=("垃圾",)
)
CAR = Category(code="car", name=LocalName(zh="机动车乱停放", en="Cars parked wrongly"))
SUGGESTIONS = CategorySuggestions([LAMP, BIN, RUBBISH, CAR])


def codes(text: str) -> list[str]:
    return [each.code for each in SUGGESTIONS.suggest(text)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("路灯坏了", "lamp"),
        ("路燈壞了", "lamp"),
        ("ＬＡＭＰ　ＰＯＳＴ bent", "lamp"),
        ("Two street lamps are out", "lamp"),
        ("垃圾桶早就满了", "bin"),
        ("一地垃圾", "rubbish"),
        ("机动车停在路上", "car"),
    ],
)
def test_a_name_or_an_alias_in_either_script_and_language(text: str, code: str) -> None:
    assert codes(text)[0] == code


@pytest.mark.parametrize("text", ["", "电梯坏了", "The lamplighter", "clampdown on posts"])
def test_where_nothing_speaks_for_a_category_nothing_is_suggested(text: str) -> None:
    assert codes(text) == []


def test_the_words_that_led_to_it_are_named() -> None:
    (best, other) = SUGGESTIONS.suggest("门口垃圾桶满了三天")
    assert (best.code, best.words) == ("bin", ("垃圾桶", "满"))
    assert (other.code, other.words) == ("rubbish", ("垃圾",))
    assert 0 < other.confidence < best.confidence < 1


def test_what_two_categories_share_is_less_sure() -> None:
    of_one = CategorySuggestions([LAMP]).suggest("灯杆歪了")
    shared = CategorySuggestions([LAMP, BIN.model_copy(update={"aliases": ("灯杆",)})])
    assert shared.suggest("灯杆歪了")[0].confidence < of_one[0].confidence


def test_a_city_that_lists_categories_is_suggested_no_others() -> None:
    assert Categories([LAMP], [BIN]).suggested() == [LAMP]
    assert Categories([], [BIN]).suggested() == [BIN]
