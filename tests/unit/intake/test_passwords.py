"""Passwords and codes against values of others' programs; what cannot be a password."""

from datetime import UTC, datetime, timedelta

import pytest

from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.intake.adapters.passwords import code_address, hash_of, is_code, is_password
from lastmetre.intake.domain.staff_users import (
    StaffUser,
    steps_around,
    why_not_as_password,
)

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)


def test_a_password_is_known_by_its_hash_alone() -> None:
    kept = hash_of("correct horse battery")
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert is_password("correct horse battery", kept)
    assert not is_password("correct horse batterY", kept)
    assert hash_of("correct horse battery") != kept


def test_a_hash_of_the_reference_program() -> None:
    """`printf password | argon2 somesalt -id -t 2 -k 65536 -p 1 -l 32 -e`, phc-winner-argon2."""
    kept = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
    assert is_password("password", kept)
    assert not is_password("differentpassword", kept)


@pytest.mark.parametrize(
    ("seconds", "code"),
    # RFC 6238, appendix B, SHA-1: the last six of its eight digits.
    [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_codes_of_rfc_6238(seconds: int, code: str) -> None:
    secret = b"12345678901234567890"
    assert is_code(code, secret, seconds // 30)
    assert not is_code(code, secret, seconds // 30 + 1)
    for wrong in ("", "28708", "2870820", "２８７０８２", "abcdef"):
        assert not is_code(wrong, secret, seconds // 30)


def test_codes_are_good_half_a_minute_around_now() -> None:
    present = int(NOW.timestamp()) // 30
    assert sorted(steps_around(NOW)) == [present - 1, present, present + 1]


def test_what_an_authenticator_is_told() -> None:
    assert code_address(b"12345678901234567890", "zhou.lin", "Lastmetre Yunqiao") == (
        "otpauth://totp/Lastmetre%20Yunqiao:zhou.lin?digits=6"
        "&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&algorithm=SHA1"
        "&issuer=Lastmetre%20Yunqiao&period=30"
    )


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elevenchars", "short"),
        ("long enough!", None),
        ("只有十二个字的密码也可以用", None),
        ("abcdefgh" * 16, None),
        ("abcdefgh" * 16 + "i", "long"),
        ("my name is Zhou.Lin", "name"),
        ("Lastmetre-2026", "name"),
        ("aaaaaaaaaaaaa", "simple"),
        ("abababababababab", "simple"),
    ],
)
def test_what_cannot_be_a_password(password: str, why: str | None) -> None:
    assert why_not_as_password(password, "zhou.lin") == why


def test_a_first_password_ends_and_a_disabled_user_signs_in_no_more() -> None:
    staff = StaffMember("zhou.lin", (Role.OPERATOR,), None)
    day = timedelta(days=1)
    assert StaffUser(staff, "", b"", 0, NOW).may_sign_in(NOW)
    assert StaffUser(staff, "", b"", 0, NOW, first_password_ends=NOW + day).may_sign_in(NOW)
    assert not StaffUser(staff, "", b"", 0, NOW, first_password_ends=NOW).may_sign_in(NOW)
    assert not StaffUser(staff, "", b"", 0, NOW, disabled_at=NOW - day).may_sign_in(NOW)
