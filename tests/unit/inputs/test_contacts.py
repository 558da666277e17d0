"""Phones and e-mail addresses: findings 6, 7 and 11 of the inputs that went wrong."""

import pytest

from lastmetre.common.contact import (
    NO_EMAIL,
    NO_PHONE,
    NO_TEXT_MESSAGES,
    SCIENTIFIC,
    ContactCheck,
    Reachable,
    is_email,
)

CHECK = ContactCheck("CN")


@pytest.mark.parametrize(
    "typed",
    [
        "13800001111、13900002222",
        "13800001111/13900002222",
        "13800001111;13900002222",
        "13800001111，13900002222",
        "13800001111 13900002222",
        "13800001111或13900002222",
        "138 0000 1111 (晚上)",
        "138 0000 1111（晚上）",
        "张三13800001111",
        "13800001111 转 8",
        "13800001111.0",
        "0086 138 0000 1111",
        "１３８００００１１１１",
        "\u202d13800001111\u202c",
        "手机：138\u200b0000\u200b1111",
        "周一至周五9:00-18:00 13800001111",
        "工号 20231234 电话 13800001111",
        "13800001111(李女士)、0769-22222222转801",
    ],
)
def test_11_the_first_number_of_a_field_is_used(typed: str) -> None:
    assert CHECK.usable(typed, None) == Reachable("+8613800001111", None, takes_texts=True)
    assert CHECK.remarks(typed, None) == []


@pytest.mark.parametrize(
    "typed", ["010-62345678转801", "010-62345678 ext. 801", "(010)62345678-801", "010/62345678"]
)
def test_11_an_extension_does_not_spoil_a_landline(typed: str) -> None:
    assert CHECK.usable(typed, None).phone == "+861062345678"


def test_11_of_a_landline_and_a_mobile_messages_go_to_the_mobile() -> None:
    assert CHECK.usable("010-62345678, 13800001111", None).phone == "+8613800001111"


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("1.39E+10", SCIENTIFIC),
        ("1,39e+10", SCIENTIFIC),
        ("4.479E11", SCIENTIFIC),
        ("无", NO_PHONE),
        ("area lead", NO_PHONE),
        ("12345", NO_PHONE),
    ],
)
def test_6_what_is_no_phone_is_said_and_the_email_is_used(typed: str, message: str) -> None:
    assert CHECK.usable(typed, "l1@city.example") == Reachable(None, "l1@city.example")
    assert CHECK.remarks(typed, "l1@city.example") == [("phone", message)]


@pytest.mark.parametrize(
    "typed",
    [
        "a@city.example;b@city.example",
        "a@city.example，b@city.example",
        "a@city.example b@city.example",
        "无; a@city.example",
        "Bai Yun <a@city.example>",
        "mailto:a@city.example",
        "邮箱：a@city.example",
        "a@city.example（家里）",
        "a@city.example/b@city.example",
        "a@city.example 或 b@city.example",
        "ａ＠city。example",
        "\u200ba@city.example.",
    ],
)
def test_6_the_first_address_of_a_field_is_used(typed: str) -> None:
    assert CHECK.usable(None, typed).email == "a@city.example"


@pytest.mark.parametrize(
    "typed",
    [
        "a b@city.example",
        "a\r\nBcc:b@city.example",
        "a@ city.example",
        "a@b@city.example",
        "a@city..example",
        "张三@例子.中国",
        "josé@city.example",
        "a@-例.中国",
        f"a@{64 * '例'}.中国",
    ],
)
def test_6_what_is_no_address_is_said(typed: str) -> None:
    assert CHECK.remarks(" ", typed) == [("email", NO_EMAIL)]
    assert CHECK.usable(None, typed).email is None


@pytest.mark.parametrize(
    ("typed", "ascii_form"),
    [
        # RFC 3492, 7.1 and the tables of the root zone.
        ("zhang@例子.中国", "zhang@xn--fsqu00a.xn--fiqs8s"),
        ("zhang@ＭÜNCHEN.de", "zhang@xn--mnchen-3ya.de"),
        ("zhang@faß.de", "zhang@xn--fa-hia.de"),
        ("邮箱：zhang@例子。中国", "zhang@xn--fsqu00a.xn--fiqs8s"),
    ],
)
def test_a_domain_in_letters_of_its_own_is_written_to_in_ascii(typed: str, ascii_form: str) -> None:
    assert CHECK.usable(None, typed).email == ascii_form
    assert is_email(ascii_form)


@pytest.mark.parametrize("typed", ["010-62345678", "400-810-1234", "0769-22222222"])
def test_7_only_a_mobile_takes_text_messages(typed: str) -> None:
    landline = CHECK.usable(typed, None)
    assert landline.phone is not None
    assert not landline.takes_texts
    assert not landline, "no message reaches it"
    assert not CHECK.takes_texts(landline.phone)
    assert CHECK.remarks(typed, None) == [("phone", NO_TEXT_MESSAGES)]
    assert CHECK.usable(typed, "a@city.example"), "the e-mail is written to"


def test_7_a_number_that_may_be_a_mobile_takes_text_messages() -> None:
    assert ContactCheck("US").usable("(213) 373-4253", None).takes_texts
    assert CHECK.takes_texts("+8613800001111")
