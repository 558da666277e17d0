"""The sample city is as large as it has to be, fits together, and its day is planned the same."""

import csv
import shutil
from collections import Counter
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import shapely

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.requests import Action
from lastmetre.devstack.demo.city import SampleCity, SampleCityError, load_city
from lastmetre.devstack.demo.scenario import Day, make_day
from lastmetre.devstack.home import SAMPLE_CITY

ZONE = ZoneInfo("Asia/Shanghai")
DAY = date(2026, 11, 24)
CATALOGUE = SAMPLE_CITY.parents[2] / "shared" / "domain" / "gbt47678_5_codes.tsv"


@pytest.fixture(scope="module")
def city() -> SampleCity:
    return load_city(SAMPLE_CITY)


@pytest.fixture(scope="module")
def day(city: SampleCity) -> Day:
    return make_day(city, DAY, ZONE, seed=1)


def test_as_many_of_everything_as_the_demo_promises(city: SampleCity, day: Day) -> None:
    assert len(city.leads) >= 30
    assert len({text.text for text in city.texts}) >= 120
    assert all(any("一" <= letter <= "鿿" for letter in text.text) for text in city.texts)
    assert len(day.reports) >= 2000
    assert {report.channel for report in day.reports} == set(Channel)
    assert all(each.name_en.isascii() for each in city.categories)
    assert {area.town_id for area in city.areas} == {town.town_id for town in city.places.towns}


@pytest.mark.skipif(not CATALOGUE.exists(), reason="the catalogue lies beside the checkout")
def test_categories_are_those_of_the_standard(city: SampleCity) -> None:
    kinds = {"管理部件": "part", "管理事项": "matter"}
    with CATALOGUE.open(encoding="utf-8") as file:
        standard = {
            f"{kinds[row['kind']]}:{row['code5']}": row["name"]
            for row in csv.DictReader(file, delimiter="\t")
        }
    own = {each.code: each.name_zh for each in city.categories if not each.code.startswith("city:")}
    assert own == {code: standard.get(code) for code in own}
    assert len(own) > 40


def test_nobody_reports_who_could_be_taken_for_somebody_else(city: SampleCity) -> None:
    published = "".join(
        [
            *(lead.name_zh + lead.post_zh for lead in city.leads),
            *(area.name_zh + area.community_zh + area.town_zh for area in city.areas),
            *(category.name_zh for category in city.categories),
        ]
    )
    names = {s + g for s in city.people.surnames for g in city.people.given_names}
    assert not [name for name in names if name in published]
    assert not [lead for lead in city.leads if lead.phone.startswith(city.people.phone_prefix)]


def test_the_same_plan_every_time_and_another_one_on_another_day(city: SampleCity) -> None:
    day = make_day(city, DAY, ZONE, seed=1, reports=200)
    assert make_day(city, DAY, ZONE, seed=1, reports=200) == day
    other = make_day(city, date(2026, 11, 25), ZONE, seed=1, reports=200)
    assert not {r.source_id for r in other.reports} & {r.source_id for r in day.reports}
    assert [r.text for r in other.reports] != [r.text for r in day.reports]


def test_reports_lie_within_the_day_and_the_area_meant(city: SampleCity, day: Day) -> None:
    begin, end = datetime(2026, 11, 23, 16, tzinfo=UTC), datetime(2026, 11, 24, 16, tzinfo=UTC)
    times = [report.reported_at for report in day.reports]
    assert times == sorted(times)
    assert begin <= times[0]
    assert times[-1] < end
    outlines = {area.area_id: shapely.geometry.shape(area.outline) for area in city.areas}
    whole = shapely.union_all(list(outlines.values()))
    for report in day.reports:
        if report.position is not None:
            point = shapely.Point(report.position.longitude, report.position.latitude)
            if report.area_id is None:
                assert not whole.intersects(point)
            else:
                assert outlines[report.area_id].contains(point)


def test_one_problem_is_reported_twice(day: Day) -> None:
    (again,) = [report for report in day.reports if report.same_as]
    (first,) = [report for report in day.reports if report.source_id == again.same_as]
    assert (again.category, again.area_id, again.steps) == (first.category, first.area_id, ())
    assert again.contact != first.contact
    one, other = first.position, again.position
    assert one
    assert other
    assert one.longitude == other.longitude
    assert 0 < float(other.latitude or 0) - float(one.latitude or 0) < 0.0001, "some ten metres"


def test_what_becomes_of_cases_is_a_way_that_a_case_can_take(day: Day) -> None:
    follows = {
        Action.PLACE: {Action.ACCEPT, Action.RETURN},
        Action.ACCEPT: {Action.ARRIVE, Action.RESOLVE},
        Action.ARRIVE: {Action.RESOLVE},
        Action.RETURN: {Action.PLACE, Action.CANCEL},
    }
    for report in day.reports:
        actions = [step.action for step in report.steps]
        for before, after in pairwise(actions):
            assert after in follows.get(before, set()), report
        if report.rating:
            assert actions[-1] is Action.RESOLVE
            assert report.contact is not None
        if report.fixed_on_spot:
            assert (report.channel, actions) == (Channel.PATROL, [Action.RESOLVE])


def test_everything_that_a_day_has_happens_often_enough_to_be_seen(day: Day) -> None:
    found: Counter[str] = Counter()
    for report in day.reports:
        found.update(step.action.value for step in report.steps)
        found["open"] += not report.steps or report.steps[-1].action not in (
            Action.RESOLVE, Action.CANCEL,
        )  # fmt: skip
        found["rated"] += report.rating is not None
        found["asked to reopen"] += bool(report.rating and report.rating.reopen)
        found["without a position"] += report.position is None
        found["outside the city"] += report.area_id is None
        found["anonymous"] += report.contact is None
    rare = {name: count for name, count in found.items() if count < 5}
    assert not rare, found
    assert found["open"] > 100
    assert found["rated"] > 300


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("leads.csv", "yq-0101", "yq-9999", "leads.csv: area 'yq-9999' is not in areas.geojson"),
        ("texts.csv", "t002,part:01002", "t001,part:01002", "text_id 't001' stands there 2 times"),
        ("texts.csv", "t001,part:01002", "t001,part:99999", "category 'part:99999' is not in"),
        ("texts.csv", "{street}中间", "{road}中间", "texts.csv, line 2: .*{street} and {landmark}"),
        ("day.yaml", "share: 0.42", "share: -1", "day.yaml: channels.hotline.share"),
        ("places.yaml", "bank: west", "bunk: west", "places.yaml: towns.0"),
        ("people.yaml", '"1660000"', '"1380013"', None),
        ("people.yaml", "example.invalid", "gmail.com", "people.yaml: email_domain"),
        ("areas.geojson", '"Polygon"', '"Point"', "areas.geojson"),
    ],
)
def test_a_mistake_in_a_file_is_named(
    tmp_path: Path, file: str, old: str, new: str, message: str | None
) -> None:
    folder = tmp_path / "city"
    shutil.copytree(SAMPLE_CITY, folder)
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), "utf-8")
    if message is None:
        load_city(folder)
    else:
        with pytest.raises(SampleCityError, match=message):
            load_city(folder)
