from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from lastmetre.common.web.languages import Language, load_translations
from lastmetre.common.web.wording import Wording

NOW = datetime(2026, 11, 22, 7, 18, 5, tzinfo=UTC)  # 15:18:05 in Shanghai
TRANSLATIONS = load_translations("lastmetre.common.web")
NO_BREAK = "\N{NO-BREAK SPACE}"


def wording(language: Language, zone: str = "Asia/Shanghai") -> Wording:
    return Wording(language, ZoneInfo(zone), TRANSLATIONS[language])


@pytest.mark.parametrize(
    ("at", "chinese", "english"),
    [
        (NOW, "今天 15:18", "15:18 today"),
        (NOW + timedelta(hours=8), "今天 23:18", "23:18 today"),
        (NOW + timedelta(hours=9), "明天 00:18", "00:18 tomorrow"),
        (NOW - timedelta(hours=16), "昨天 23:18", "23:18 yesterday"),
        (datetime(2026, 11, 2, 16, 30, tzinfo=UTC), "11月3日 00:30", "00:30, 3 November"),
        (datetime(2018, 1, 3, 6, 46, tzinfo=UTC), "2018年1月3日 14:46", "14:46, 3 January 2018"),
    ],
)
def test_the_day_is_the_citys(at: datetime, chinese: str, english: str) -> None:
    assert wording("zh").when(at, NOW) == chinese
    assert wording("en").when(at, NOW) == english


def test_short_is_the_clock_alone_today_and_the_day_too_otherwise() -> None:
    words = wording("zh")
    assert words.short(NOW - timedelta(hours=15), NOW) == "00:18"
    assert words.short(NOW - timedelta(hours=16), NOW) == "昨天 23:18"


def test_iso_has_the_citys_offset_of_that_day() -> None:
    angeles = wording("en", "America/Los_Angeles")
    assert angeles.iso(datetime(2018, 1, 3, 20, 0, 0, 999, tzinfo=UTC)) == (
        "2018-01-03T12:00:00-08:00"
    )
    assert angeles.iso(datetime(2018, 7, 3, 20, 0, tzinfo=UTC)) == "2018-07-03T13:00:00-07:00"
    assert angeles.seconds(datetime(2018, 1, 3, 20, 0, 7, tzinfo=UTC)) == "12:00:07"


class Length(NamedTuple):
    seconds: float
    chinese: str
    english: str


@pytest.mark.parametrize(
    "length",
    [
        Length(0, "不到 1 分钟", "under 1 min"),
        Length(-5, "不到 1 分钟", "under 1 min"),
        Length(59.9, "不到 1 分钟", "under 1 min"),
        Length(60, "1 分钟", "1 min"),
        Length(3599, "59 分钟", "59 min"),
        Length(3600, "1 小时", "1 h"),
        Length(4320, "1 小时 12 分钟", "1 h 12 min"),
        Length(86400, "1 天", "1 day"),
        Length(2 * 86400 + 3 * 3600 + 59, "2 天 3 小时", "2 days 3 h"),
    ],
)
def test_durations_in_words(length: Length) -> None:
    seconds, chinese, english = length
    assert wording("zh").duration(seconds).replace(NO_BREAK, " ") == chinese
    assert wording("en").duration(timedelta(seconds=seconds)).replace(NO_BREAK, " ") == english


def test_a_figure_and_its_unit_stay_on_one_line() -> None:
    assert wording("en").duration(4320) == f"1{NO_BREAK}h 12{NO_BREAK}min"


@pytest.mark.parametrize(
    ("seconds", "quantity"),
    [
        (12, ("12", "s")),
        (552, ("9.2", "min")),
        (7199, ("120.0", "min")),
        (7200, ("2.0", "h")),
        (3 * 86400, ("3.0", "days")),
        (1234.5 * 86400, ("1,234.5", "days")),
    ],
)
def test_quantities_pick_their_unit(seconds: float, quantity: tuple[str, str]) -> None:
    assert wording("en").quantity(seconds) == quantity


@pytest.mark.parametrize(
    ("left", "kind", "text"),
    [
        (timedelta(minutes=-18), "over", "已超时 18 分钟"),
        (timedelta(0), "soon", "还剩 不到 1 分钟"),
        (timedelta(minutes=9), "soon", "还剩 9 分钟"),
        (timedelta(minutes=30), "ok", "还剩 30 分钟"),
        (timedelta(hours=1, minutes=12), "ok", "还剩 1 小时 12 分钟"),
        (timedelta(days=1), "ok", "最晚 明天 15:18"),
    ],
)
def test_a_deadline_has_a_shape_and_words(left: timedelta, kind: str, text: str) -> None:
    due = wording("zh").due(NOW + left, NOW)
    assert (due.kind, due.text.replace(NO_BREAK, " "), due.at) == (kind, text, NOW + left)


def test_how_soon_is_soon_is_the_callers() -> None:
    assert wording("en").due(NOW + timedelta(hours=2), NOW, timedelta(hours=3)).kind == "soon"


def test_figures() -> None:
    words = wording("en")
    assert words.number(3418) == "3,418"
    assert words.number(4.5, 2) == "4.50"
    assert words.percent(0.923) == "92.3%"
    assert words.percent(1, 0) == "100%"
    assert [words.distance(metres) for metres in (320, 1000, 1120)] == [
        f"320{NO_BREAK}m",
        f"1{NO_BREAK}km",
        f"1.1{NO_BREAK}km",
    ]


def test_own_takes_the_readers_language_and_falls_back_to_the_other() -> None:
    category = {"name_zh": "路灯", "name_en": "Street lamp"}
    assert wording("zh").own(category, "name") == "路灯"
    assert wording("en").own(category, "name") == "Street lamp"
    assert wording("en").own({"name_zh": "路灯", "name_en": ""}, "name") == "路灯"
    assert wording("en").own({"zh": "李敏", "en": "Li Min"}) == "Li Min"
    assert wording("en").own({}, "name") == ""
