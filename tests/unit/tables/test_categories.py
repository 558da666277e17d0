"""The city's categories, and channels' names for them: one reader for all services."""

from pathlib import Path

import pytest

from lastmetre.common.categories import UNKNOWN, Categories, Category
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.tables.categories import read_categories
from lastmetre.common.tables.problems import TableError
from lastmetre.dispatch import bootstrap as dispatch
from lastmetre.intake import bootstrap as intake
from lastmetre.intake.adapters.settings_files import read_category_codes
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.notify import bootstrap as notify


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "categories.csv"


def test_finding_14_one_language_counts_for_both(file: Path) -> None:
    file.write_text("code,name_zh,name_en,on_form\nc1,路灯,,1\nc2,,Pothole,\n,,,\n", "utf-8")
    categories = read_categories(file)
    assert categories.name("c1") == LocalName(zh="路灯", en="路灯")
    assert categories.name("c2") == LocalName(zh="Pothole", en="Pothole")
    assert [each.code for each in categories.on_form()] == ["c1"]


def test_finding_14_all_services_read_them_by_the_same_reader() -> None:
    for service in (intake, dispatch, notify):
        assert vars(service)["read_categories"] is read_categories


def test_one_language_needs_no_column_for_the_other(file: Path) -> None:
    file.write_text("code,name_en\nc1,Street light\n")
    categories = read_categories(file)
    assert categories.name("c1").zh == "Street light"
    assert [each.code for each in categories.on_form()] == ["c1"]


def test_everything_that_is_wrong_is_told_at_once(file: Path) -> None:
    file.write_text(
        "code,name_zh,name_en,on_form\n,路灯,,\nc1,,,\nc2,a,b,perhaps\nc3,a,b,\nc3,c,d,\n"
        f"{'c' * 121},a,b,\n{UNKNOWN},a,b,\nc4,a,b,1,x\n",
        "utf-8",
    )
    with pytest.raises(TableError) as refused:
        read_categories(file)
    assert refused.value.problems == [
        "line 2: code is empty",
        "line 3: neither name_zh nor name_en",
        "line 4: on_form is 1 or 0, not 'perhaps'",
        "line 6: the code c3 is there already",
        "line 7: code: String should have at most 120 characters",
        "line 8: code: unknown is that of reports without a category",
        "line 9: 5 cells where the header has 4",
    ]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        # Of GB/T 47678.5, beside a city that lists one category of its own.
        ("part:01005", "part:01005"),
        ("电力井盖", "part:01005"),
        ("電力井蓋", "part:01005"),
        ("06010", "matter:06010"),
        ("０６０１０", "matter:06010"),
        ("06010 暴露垃圾", "matter:06010"),
        ("暴露垃圾 06010", "matter:06010"),
        ("06011 暴露垃圾", UNKNOWN),
        ("99999", UNKNOWN),
        ("01005", UNKNOWN),
        ("部件01005", "part:01005"),
        ("管理事项-01005", "matter:01005"),
        ("市政公用设施/井盖/电力井盖", "part:01005"),
        ("养犬不文明", "city:1"),
        ("city:1", "city:1"),
        ("其他", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_the_national_catalogue_is_known_beside_the_citys_own(
    file: Path, sent: str, code: str
) -> None:
    file.write_text("code,name_zh\ncity:1,养犬不文明\n", "utf-8")
    categories = read_categories(file)
    assert read_category_codes(None, categories).code("hotline", sent) == code
    assert list(categories) == ["city:1"], "what the city works with"
    assert categories.name("part:01005").zh == "电力井盖"
    assert "part:01005" in categories


def test_a_name_of_two_categories_says_neither() -> None:
    name = LocalName(zh="其他", en="Other")
    codes = CategoryCodes(Categories([Category(code=each, name=name) for each in ("a", "b")]))
    assert codes.code("app", "其他") == UNKNOWN


def test_every_category_of_the_catalogue_is_found_by_its_name() -> None:
    categories = read_categories(None)
    codes = CategoryCodes(categories)
    known = list(categories.all_codes())
    assert len(known) == 153 + 250
    assert [codes.code("app", categories.name(each).zh) for each in known] == known
    assert categories.on_form() == []


def test_what_channels_call_them(file: Path) -> None:
    known = Categories([Category(code="c1", name=LocalName(zh="路灯", en="Street light"))])
    file.write_text("Channel,Category,Code\nhotline,照明,c1\n,lamp,c1\n", "utf-8")
    codes = read_category_codes(file, known)
    assert codes.code("hotline", "照明") == "c1"
    assert codes.code("app", "照明") == UNKNOWN
    assert codes.code("app", "lamp") == "c1"

    file.write_text("channel,category,code\nphone,a,c1\n,,c1\n,b,c2\napp,d,c1\napp,d,c1\n")
    with pytest.raises(TableError) as refused:
        read_category_codes(file, known)
    assert refused.value.problems == [
        "line 2: channel is hotline, app, patrol or empty, not 'phone'",
        "line 3: category is empty",
        "line 4: code: the catalogue has no 'c2'",
        "line 6: category: 'd' is mapped already",
    ]
