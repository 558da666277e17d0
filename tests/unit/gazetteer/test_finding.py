"""Positions from words. Where things are is read off the map in `drawn_map`, by hand."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.gazetteer.finding import Finder, Limits
from lastmetre.common.gazetteer.model import Candidate, Finding, Gazetteer
from lastmetre.common.matching import for_matching, form_of
from tests.unit.gazetteer.drawn_map import GAZETTEER, PLACES, metres_apart

FINDER: Final = Finder(GAZETTEER)


def found_in(text: str) -> Finding:
    (finding,) = FINDER.find_places([text])
    return finding


def known_in(text: str) -> Candidate:
    known = found_in(text).known
    assert known is not None, found_in(text)
    return known


def words(text: str, candidate: Candidate) -> list[str]:
    return [text[span.start : span.end] for span in candidate.spans]


@pytest.mark.parametrize(
    ("text", "matched", "east", "north", "off", "accuracy"),
    [
        ("长安镇厦岗社区振安东路118号门口", "振安东路118号", 1660, 2010, 1, 30),
        ("長安鎮廈崗社區振安東路118號門口", "振安東路118號", 1660, 2010, 1, 30),
        ("振安东路１１８号，路灯不亮", "振安东路１１８号", 1660, 2010, 1, 30),
        ("振安东路 118 号", "振安东路 118 号", 1660, 2010, 1, 30),
        ("振安东路一百一十八号", "振安东路一百一十八号", 1660, 2010, 1, 30),
        ("振安东路118-3号", "振安东路118-3号", 1660, 2010, 1, 30),
        # Half way between 2 and 118, on their side; the way is 1,160 m, a quarter of it the doubt.
        ("振安东路60号", "振安东路60号", 1080, 2000, 15, 290),
        # The odd side has other known houses: half way between 1 and 299, 2,980 m apart.
        ("振安东路150号对面", "振安东路150号", 1980, 2000, 15, 555),
        ("文庙牌坊", "文庙牌坊", 1600, 2100, 1, 60),
        ("文庙牌坊附近有积水", "文庙牌坊", 1600, 2100, 1, 160),
        ("文庙牌坊以东200米", "文庙牌坊", 1600, 2100, 1, 260),
        ("文庙牌坊往前两公里", "文庙牌坊", 1600, 2100, 1, 2060),
        ("金桂花园里的路灯", "金桂花园", 3200, 6150, 1, 250),
        ("桥西一路垃圾没人收", "桥西一路", 1300, 8000, 1, 300),
        ("云溪边有人倒垃圾", "云溪", 4000, 450, 1, 450),
        ("118 Zhen'an East Road, Chang'an Town", "118 Zhen'an East Road", 1660, 2010, 1, 30),
        ("118, zhenan east rd.", "118, zhenan east rd.", 1660, 2010, 1, 30),
        ("Zhenan East Road 118", "Zhenan East Road 118", 1660, 2010, 1, 30),
        ("Zhenan East Road No. 118, lamp broken", "Zhenan East Road No. 118", 1660, 2010, 1, 30),
        ("the pothole outside 12 Main St", "12 Main St", 1010, 1700, 1, 30),
        ("HAUPTSTRASSE 7a", "HAUPTSTRASSE 7a", 8100, 1000, 1, 30),
        ("Hauptstraße 9, 2. Stock", "Hauptstraße 9", 8200, 1000, 1, 50),
        ("near the Wenmiao archway", "Wenmiao archway", 1600, 2100, 1, 160),
        ("200 m east of the Wenmiao archway", "Wenmiao archway", 1600, 2100, 1, 260),
    ],
)
def test_one_place_with_its_words_and_its_accuracy(
    text: str, matched: str, east: float, north: float, off: float, accuracy: float
) -> None:
    first = found_in(text).candidates[0]
    assert words(text, first) == [matched]
    assert metres_apart(first.position, east, north) <= off
    assert first.accuracy_metres == pytest.approx(accuracy, abs=6)


@pytest.mark.parametrize(
    ("text", "place_ids", "matched_by"),
    [
        ("振安东路118号", ("zhenan",), "house_number"),
        ("振安东路60号", ("zhenan",), "between_house_numbers"),
        ("振安东路与主街交叉口", ("zhenan", "main"), "crossing"),
        ("corner of Main Street and Zhenan East Road", ("main", "zhenan"), "crossing"),
        ("虎门镇人民路路灯不亮", ("renmin-e",), "road"),
        ("人民路，厦岗", ("renmin-w",), "road"),
        ("People's Rd, Humen Town", ("renmin-e",), "road"),
        ("文庙牌坊对面的振安东路", ("temple",), "landmark"),
        ("莞城市长安镇金桂花园", ("garden",), "quarter"),
        ("往东站方向，振安东路118号", ("zhenan",), "house_number"),
        ("5号线东站出口", ("station",), "landmark"),
        ("振安东路3号楼", ("zhenan",), "road"),
        ("振安东路3号门", ("zhenan",), "road"),
        ("4 lamps in Main Street", ("main",), "road"),
        ("Main Street, 4 lamps are dark", ("main",), "road"),
    ],
)
def test_which_place_and_what_it_rests_on(
    text: str, place_ids: tuple[str, ...], matched_by: str
) -> None:
    first = found_in(text).candidates[0]
    assert (first.place_ids, first.matched_by) == (place_ids, matched_by)


def test_a_crossing_is_where_the_roads_meet() -> None:
    text = "振安东路与主街交叉口"
    crossing = known_in(text)
    assert metres_apart(crossing.position, 1000, 2000) < 1
    assert words(text, crossing) == ["振安东路", "主街"]
    assert crossing.accuracy_metres == 40


@pytest.mark.parametrize(
    ("text", "reason", "candidates"),
    [
        ("", "no_name", []),
        ("路灯不亮，请来修", "no_name", []),
        ("往东站方向走的车道", "no_name", []),
        ("人民路路灯不亮", "ambiguous", [("renmin-e",), ("renmin-w",)]),
        ("莞城市人民路", "ambiguous", [("renmin-e",), ("renmin-w",)]),
        ("从文庙牌坊到东站都有", "contradictory", [("station",), ("temple",)]),
        ("虎门镇振安东路118号", "contradictory", [("humen",), ("zhenan",)]),
        ("新振安东路有坑", "unsure", [("zhenan",)]),
        ("沙角镇振安东路118号", "unsure", [("zhenan",)]),
        ("North Main Street", "unsure", [("main",)]),
        ("振安东路二巷", "unsure", [("zhenan",)]),
        ("振安东路999号", "unsure", [("zhenan",)]),
        ("振安东路、主街都很脏", "unsure", [("main", "zhenan")]),
        ("长安镇有人反映噪音", "too_rough", [("changan",)]),
    ],
)
def test_no_guess_is_told_as_a_fact(
    text: str, reason: str, candidates: list[tuple[str, ...]]
) -> None:
    finding = found_in(text)
    assert finding.known is None
    assert finding.not_known == reason
    told = [tuple(sorted(each.place_ids)) for each in finding.candidates]
    assert sorted(told)[: len(candidates)] == candidates


@pytest.mark.parametrize("text", ["Mainland streets", "Domain Street", "Hauptstraßenfest"])
def test_a_part_of_a_word_is_no_name(text: str) -> None:
    assert found_in(text) == Finding()


def test_what_is_ambiguous_shares_the_confidence() -> None:
    confidences = [each.confidence for each in found_in("人民路").candidates]
    assert confidences == [0.45, 0.45]


def test_limits_are_the_citys() -> None:
    strict = Finder(GAZETTEER, Limits(confidence=0.97, metres=40))
    texts = ["振安东路118号", "振安东路60号", "文庙牌坊"]
    assert [each.not_known for each in strict.find_places(texts)] == [None, "unsure", "unsure"]


def test_without_places_nothing_is_found() -> None:
    assert Finder(Gazetteer()).find_places(["长安镇"]) == [Finding()]


PIECES: Final = st.lists(
    st.one_of(
        st.sampled_from([name for place in PLACES for name in place.names]),
        st.sampled_from(
            ["号", "118号", " 12 ", "与", "附近", "路口", "，", "　", "Ａ", "ｅ́", "ﬁ", "㎡"]
        ),
        st.text(max_size=5),
    ),
    max_size=8,
)


@given(PIECES)
def test_spans_are_the_letters_that_were_matched(pieces: list[str]) -> None:
    text = "".join(pieces)
    names = [for_matching(name).removeprefix("the ") for place in PLACES for name in place.names]
    for candidate in found_in(text).candidates:
        assert 0 < candidate.confidence <= 1
        assert candidate.accuracy_metres >= 30
        for matched in words(text, candidate):
            assert any(name in for_matching(matched) for name in names)


@given(PIECES, PIECES)
def test_a_text_is_read_alike_alone_and_among_others(one: list[str], other: list[str]) -> None:
    texts = ["".join(one), "".join(other)]
    assert FINDER.find_places(texts) == [found_in(text) for text in texts]


@given(st.text(alphabet="路灯 \t東号Ａａ１②㎡ﬁé\u200b\ufeffßẞ", max_size=20))
def test_the_form_with_its_letters_origins_is_the_form_for_matching(text: str) -> None:
    form, starts, ends = form_of(text)
    assert form == for_matching(text)
    assert len(starts) == len(ends) == len(form)
    assert all(
        for_matching(text[a:b]) or letter == " "
        for letter, a, b in zip(form, starts, ends, strict=True)
    )


def test_a_text_that_repeats_a_name_says_it_once() -> None:
    assert found_in("振安东路118号" * 500).known == known_in("振安东路118号")


def test_a_list_of_places_is_no_place() -> None:
    many = "，".join(f"振安东路{number}号" for number in range(1, 200))
    assert found_in(many) == Finding(not_known="contradictory")


def test_where_only_the_town_agrees_the_others_are_candidates_behind_it() -> None:
    """厦岗 lies in the west of the town, the garden that is named not."""
    finding = found_in("长安镇厦岗社区金桂花园")
    assert finding.not_known == "too_rough"
    assert [each.place_ids[0] for each in finding.candidates] == ["changan", "garden", "xiagang"]
