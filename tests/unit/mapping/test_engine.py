"""What three partners send in their own forms becomes the report that our API would have taken.

The samples are invented; what they have to become is written here by hand.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from lastmetre.cli.importing.rows import layout_of, table_reader
from lastmetre.common.mapping.engine import Reader, Reading
from lastmetre.common.mapping.file import read_mapping
from lastmetre.common.mapping.model import JsonMapping
from lastmetre.common.tables.reading import read_rows

SAMPLES = Path(__file__).parent / "samples"
NESTED = json.loads((SAMPLES / "grid-east.json").read_text("utf-8"))
RAW = json.loads((SAMPLES / "river-patrol.json").read_text("utf-8"))

BECOMES = {
    "grid-east": {
        "source_id": "DC20261128-0412",
        "reported_at": "2026-11-27T23:45:10Z",
        "sub_channel": "grid-worker",
        "category": "matter-06010",
        "text": "公交站后面垃圾堆了两天，味道很大",
        "address": "云桥镇学府路88号",
        "position": {
            "latitude": 23.017977,
            "longitude": 113.756993,
            "datum": "gcj02",
            "accuracy_metres": 30.0,
        },
        "contact": {"name": "陈女士", "phone": "13800138000、0769-22001234"},
    },
    "river-patrol": {
        "source_id": "88120431",
        "reported_at": "2026-11-27T23:45:10Z",
        "category": "part-01007",
        "text": "栏杆断了一截",
        "position": {"latitude": 23.0207, "longitude": 113.7518, "accuracy_metres": 30.48},
    },
}


def read(name: str, document: dict[str, Any]) -> Reading:
    return read_mapping(SAMPLES / f"{name}.yaml").reader().read(document)


def said(reading: Reading) -> dict[str, Any]:
    assert reading.report, reading.mistakes
    return reading.report.model_dump(mode="json", exclude_defaults=True)


@pytest.mark.parametrize("name", BECOMES)
def test_json_of_another_form_becomes_a_report(name: str) -> None:
    sent = (SAMPLES / f"{name}.json").read_text("utf-8")
    made = said(read(name, json.loads(sent)))
    mapping, version, digest = made.pop("read_by").split("/")
    assert (mapping, int(version), len(digest)) == (name, 3 if name == "grid-east" else 1, 12)
    assert json.loads(made.pop("sent")) == json.loads(sent)
    assert made == BECOMES[name]


def test_a_workbook_of_work_orders() -> None:
    reader, mapping = table_reader(SAMPLES / "hotline-orders.yaml")
    rows = list(read_rows(SAMPLES / "hotline-orders.xlsx", layout_of(reader, mapping)))
    first, second, third = (reader.read(row.cells) for row in rows)
    made = said(first)
    assert json.loads(made.pop("sent"))["是否保密"] == "否"
    del made["read_by"]
    assert made == {
        "source_id": "GD202611280031",
        "reported_at": "2026-11-28T00:05:00Z",
        "sub_channel": "12345",
        "category": "matter-06010",
        "text": "垃圾没人清\n学府路公交站后面垃圾堆了两天",
        "address": "云桥镇学府路88号",
        "contact": {"name": "王先生", "phone": "13800138000、13900139000(晚上)、0769-22001234"},
    }
    assert said(second)["category"] == "城市管理/园林绿化/树木倒伏"
    assert said(second)["reported_at"] == "2026-11-28T01:30:00Z"
    assert [each.doubt for each in second.fields if each.doubt] == [
        "一级分类, 二级分类, 三级分类: category.values lacks it; kept as it is"
    ]
    assert third.report is None
    assert [each.mistake.quoting() for each in third.mistakes if each.mistake] == [
        "工单编号 is empty"
    ]


def changed(document: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(document))
    *outer, last = path.split(".")
    at = copy
    for step in outer:
        at = at[step]
    at[last] = value
    return copy


MISTAKES: dict[str, tuple[str, Any, str]] = {
    "no id": ("event.eventNo", None, "event.eventNo is empty"),
    "an id too long": ("event.eventNo", "9" * 121, "event.eventNo: String should have at most 120"),
    "an id with a line break": ("event.eventNo", "a\nb", "event.eventNo: String should match"),
    "no such time": ("event.createTime", "昨天", "'昨天' is not a time as %Y-%m-%d"),
    "a time of no year": ("event.createTime", "0001-01-01 00:00:00", "is not in the years 1900"),
    "an object for a text": ("event.desc", {"zh": "暗"}, "event.desc is an object, no text"),
    "a text too long": ("event.desc", "长" * 10_001, "event.desc, as text: String should have at"),
    "beyond the pole": ("event.addr.lnglat", "113.7,91", "event.addr.lnglat, as position.latitude"),
    "much too much": ("sign", "x" * 140_000, "the whole is longer than 131,072 characters"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_cannot_be_a_report_is_told_by_the_partners_names(mistake: str) -> None:
    path, value, words = MISTAKES[mistake]
    reading = read("grid-east", changed(NESTED, path, value))
    assert reading.report is None
    (told,) = [each.mistake for each in reading.mistakes if each.mistake]
    assert words in told.quoting()
    assert str(value) not in told.silent() or value is None


@pytest.mark.parametrize("expression", ["join(' ', [a, b])", "c[::0]", "max(c)"])
def test_an_expression_that_cannot_take_what_is_sent_is_told(expression: str) -> None:
    mapping = JsonMapping.model_validate({"reads": "json", "source_id": "id", "text": expression})
    (told,) = Reader(mapping, "m/1/0").read({"id": "1", "a": "x", "c": [1, "x"]}).mistakes
    assert told.mistake
    assert told.mistake.silent() == f"{expression} cannot be worked out of this document"


LOST: dict[str, tuple[str, Any, str]] = {
    "half a position": ("event.addr.lnglat", "113.75", "'113.75' are not degrees"),
    "words": ("event.addr.lnglat", "东,北", "'东', '北' are not degrees"),
    "a datum that nobody knows": (
        "event.addr.coordType",
        "sogou",
        "event.addr.coordType is 'sogou', which position.datum.values lacks",
    ),
}


@pytest.mark.parametrize("lost", LOST)
def test_a_position_that_cannot_be_one_loses_no_report(lost: str) -> None:
    path, value, words = LOST[lost]
    reading = read("grid-east", changed(NESTED, path, value))
    assert reading.report
    assert reading.report.position is None
    (told,) = [each.lost for each in reading.fields if each.lost]
    assert told.quoting().endswith(words)
    assert value not in told.silent()


@pytest.mark.parametrize(
    ("sent", "words"),
    [("so so", "hdop_ft: 'so so' is no number"), (-1, "hdop_ft: '-1' is no accuracy")],
)
def test_accuracy_that_is_none_is_left_out(sent: Any, words: str) -> None:
    reading = read("river-patrol", changed(RAW, "hdop_ft", sent))
    assert reading.report
    assert reading.report.position
    assert reading.report.position.accuracy_metres is None
    assert [each.lost.quoting() for each in reading.fields if each.lost] == [words]


def test_what_is_not_there_is_nothing() -> None:
    made = said(read("grid-east", {"event": {"eventNo": "1"}}))
    assert {key: made[key] for key in made.keys() - {"read_by", "sent"}} == {
        "source_id": "1",
        "sub_channel": "grid-worker",
    }


def test_what_was_sent_is_kept_only_where_the_mapping_keeps_it() -> None:
    mapping = JsonMapping.model_validate({"reads": "json", "source_id": "id", "keep_sent": False})
    made = said(Reader(mapping, "m/1/0").read({"id": 7, "identity_card": "441900"}))
    assert made == {"source_id": "7", "read_by": "m/1/0"}


def test_the_digest_is_of_what_the_mapping_says_not_of_how_it_is_written(tmp_path: Path) -> None:
    said_in = {
        "plain": "reads: json\nsource_id: id\ntext: t\n",
        "written otherwise": "# comment\n\ntext: 't'\nsource_id: id\nreads: json\n",
        "another": "reads: json\nsource_id: id\ntext: u\n",
    }
    names = {}
    for each, text in said_in.items():
        (tmp_path / "m.yaml").write_text(text)
        names[each] = read_mapping(tmp_path / "m.yaml").read_by
    assert names["plain"] == names["written otherwise"] != names["another"]


def test_where_a_field_of_ours_stands_in_what_is_sent() -> None:
    reader = read_mapping(SAMPLES / "grid-east.yaml").reader()
    assert reader.places("contact.phone") == ("event.reporter.phones[].no",)
    assert reader.places("reported_at") == ("event.createTime",)
    assert reader.places("sub_channel") == ()
