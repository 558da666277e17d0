"""What intake makes of a report, whatever channel it came by."""

from datetime import UTC, datetime, timedelta

import pytest

from lastmetre.common.categories import Categories, Category
from lastmetre.common.contact import ContactCheck, ends_with, is_email, masked_phone
from lastmetre.common.contracts.base import Origin
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.reports import (
    Datum,
    ReportSubmitted,
    SubmittedContact,
    SubmittedPosition,
)
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.normalise import Normalised, Sent, normalise

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
RUBBISH = Category(code="06010", name=LocalName(zh="暴露垃圾", en="Exposed rubbish"))
CATEGORIES = CategoryCodes(
    Categories([RUBBISH]), {("hotline", "环境卫生"): "06010", ("", "trash"): "06010"}
)
CHECK = ContactCheck("CN")


def made(channel: str = "app", **fields: object) -> Normalised:
    report = ReportSubmitted.model_validate({"source_id": "1", "text": "x"} | fields)
    (result,) = normalise([Sent(channel, report, NOW)], CATEGORIES, CHECK)
    return result


def test_reported_when_received_if_nothing_else_is_said() -> None:
    assert made().reported_at == NOW
    earlier = NOW - timedelta(days=366)
    assert made(reported_at=earlier).reported_at == earlier
    history = NOW - timedelta(days=3000)
    assert made(reported_at=history, origin=Origin.IMPORT).reported_at == history


@pytest.mark.parametrize(
    ("channel", "sent", "code"),
    [
        ("app", "06010", "06010"),
        ("hotline", "环境卫生", "06010"),
        ("app", "环境卫生", "unknown"),
        ("patrol", "trash", "06010"),
        ("app", None, "unknown"),
        ("hotline", "環境衛生", "06010"),
        ("app", "ＴＲＡＳＨ ", "06010"),
        ("app", "exposed  rubbish", "06010"),
        ("patrol", "市容环境 > 垃圾 > 暴露垃圾", "06010"),
        ("hotline", "市容市貌/环境卫生/别的", "06010"),
    ],
)
def test_category(channel: str, sent: str | None, code: str) -> None:
    assert made(channel, category=sent).category == code


def test_says_nothing() -> None:
    assert made(text=" \n").reasons == ("says_nothing",)
    assert made(text="<p>&nbsp;</p>").reasons == ("says_nothing",)
    assert made(text=None, category="whatever").reasons == ()


@pytest.mark.parametrize("origin", list(Origin))
def test_reported_in_the_future(origin: Origin) -> None:
    ahead = NOW + timedelta(days=1)
    assert made(reported_at=ahead, origin=origin).reasons == ()
    late = ahead + timedelta(seconds=1)
    assert made(reported_at=late, origin=origin).reasons == ("reported_in_the_future",)


@pytest.mark.parametrize("datum", list(Datum))
@pytest.mark.parametrize(
    "sent",
    ['"latitude":0,"longitude":-0.0', '"latitude":24.08', '"latitude":null,"longitude":113.1', ""],
)
def test_20_a_position_of_0_0_or_half_a_one_is_no_position(datum: Datum, sent: str) -> None:
    fields = ",".join(filter(None, (sent, f'"datum":"{datum.value}"')))
    nowhere = SubmittedPosition.model_validate_json("{" + fields + "}")
    result = made(position=nowhere, address="人民路1号")
    assert (result.position, result.reasons) == (None, ())
    assert made(position=SubmittedPosition(latitude=0.0, longitude=9.4)).position is not None


@pytest.mark.parametrize("datum", list(Datum))
def test_21_the_accuracy_of_a_position_goes_with_it(datum: Datum) -> None:
    sent = SubmittedPosition(latitude=23.0, longitude=113.7, accuracy_metres=30, datum=datum)
    assert made(position=sent).accuracy_metres == 30
    assert made(position=SubmittedPosition(latitude=23.0, longitude=113.7)).accuracy_metres is None
    nowhere = SubmittedPosition(latitude=0, longitude=0, accuracy_metres=30, datum=datum)
    assert made(position=nowhere).accuracy_metres is None


@pytest.mark.parametrize("clock", ["1970-01-01T00:00:07Z", "1926-11-22T10:00:00+08:00"])
def test_1_and_23_a_live_report_of_long_ago_counts_from_when_it_was_received(clock: str) -> None:
    result = made(reported_at=clock)
    assert (result.reported_at, result.not_believed) == (NOW, datetime.fromisoformat(clock))
    assert result.reasons == ()
    assert made().not_believed is None


def test_1_an_import_of_another_century_is_rejected() -> None:
    result = made(reported_at="1926-11-22T10:00:00+08:00", origin=Origin.IMPORT)
    assert result.reasons == ("reported_too_long_ago",)


def test_each_datum_is_converted_and_order_kept() -> None:
    vector = {
        Datum.WGS84: (23.0207, 113.7518),
        Datum.GCJ02: (23.017977, 113.756993),
        Datum.BD09: (23.024311, 113.763407),
    }
    sent = [
        Sent(
            "app",
            ReportSubmitted(
                source_id=str(place),
                text="x",
                position=SubmittedPosition(
                    latitude=vector[datum][0], longitude=vector[datum][1], datum=datum
                ),
            ),
            NOW,
        )
        for place, datum in enumerate([*Datum, *reversed(Datum)])
    ]
    for result in normalise(sent, CATEGORIES, CHECK):
        assert result.position is not None
        assert abs(result.position.latitude - 23.0207) < 2e-6
        assert abs(result.position.longitude - 113.7518) < 2e-6


@pytest.mark.parametrize(
    ("phone", "usable"),
    [
        ("13800138000", "+8613800138000"),
        ("+86 138-0013-8000", "+8613800138000"),
        ("0769-22222222", "+8676922222222"),
        ("12345", None),
        ("保密", None),
        ("", None),
        ("１３８００１３８０００", "+8613800138000"),
    ],
)
def test_phone(phone: str, usable: str | None) -> None:
    result = made(contact=SubmittedContact(phone=phone))
    assert result.reachable.phone == usable
    assert result.reasons == ()


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("a@b.cn", True),
        ("zhang.san+x@mail.example.com", True),
        ("a@b", False),
        ("a b@c.cn", False),
        ("a@b.cn\nBcc: x@y.cn", False),
        ("@b.cn", False),
        ("a@-b.cn", False),
        ("a" * 65 + "@b.cn", False),
    ],
)
def test_email(address: str, good: bool) -> None:
    assert is_email(address) is good


def test_masks() -> None:
    assert masked_phone("+86 138 0013 1234") == "138****1234"
    assert masked_phone("13800131234") == "138****1234"
    assert masked_phone("123") == "****"
    assert ends_with("138 0013 1234", "1234")
    assert not ends_with("138 0013 1234", "")
