"""Roles from a provider's claims, sessions and their ends, addresses that a sign-in leads on to."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.intake.domain.return_address import ReturnAddresses
from lastmetre.intake.domain.staff_roles import NoRole, RoleMapping
from lastmetre.intake.domain.staff_sessions import SignedInBy, StaffSession

MAPPING = RoleMapping.model_validate(
    {
        "subject": "preferred_username",
        "roles": [
            {"role": "administrator", "claim": "groups", "value": "it"},
            {"role": "operator", "claim": ["realm_access", "roles"], "value": "centre"},
            {"role": "lead", "claim": "groups", "value": "leads"},
            {"role": "supervisor", "claim": "job", "value": "mayor"},
        ],
        "lead_id": "employee",
        "leads": {"qian.wei": "L009"},
    }
)
NAMED = {"sub": "1", "preferred_username": "zhou.lin"}


@pytest.mark.parametrize(
    ("claims", "roles", "lead_id"),
    [
        ({"realm_access": {"roles": ["centre", "x"]}}, ["operator"], None),
        ({"job": "mayor"}, ["supervisor"], None),
        ({"groups": ["leads", "it"], "employee": "L017"}, ["administrator", "lead"], "L017"),
        ({"groups": ["leads"], "preferred_username": "qian.wei"}, ["lead"], "L009"),
        # No lead without an id, and no id without that role.
        ({"groups": ["leads", "it"]}, ["administrator"], None),
        ({"groups": ["it"], "employee": "L017"}, ["administrator"], None),
        ({"groups": ["it", "leads"], "employee": 17}, ["administrator"], None),
        ({"groups": ["it", "leads"], "employee": "L\x00"}, ["administrator"], None),
    ],
)
def test_roles_of_claims(claims: dict[str, Any], roles: list[str], lead_id: str | None) -> None:
    found = MAPPING.staff_member(NAMED | claims)
    assert ([each.value for each in found.roles], found.lead_id) == (roles, lead_id)


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({}, "no_role"),
        ({"groups": ["leads"]}, "no_role"),
        ({"groups": "administrators-it"}, "no_role"),
        ({"groups": {"it": True}}, "no_role"),
        ({"realm_access": ["centre"]}, "no_role"),
        ({"realm_access.roles": ["centre"]}, "no_role"),
        ({"groups": ["it"], "preferred_username": ""}, "no_subject"),
        ({"groups": ["it"], "preferred_username": ["zhou.lin"]}, "no_subject"),
        ({"groups": ["it"], "preferred_username": "x" * 121}, "no_subject"),
    ],
)
def test_who_is_nobody_here(claims: dict[str, Any], why: str) -> None:
    with pytest.raises(NoRole, match=why):
        MAPPING.staff_member(NAMED | claims)


NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
IDLE, LONGEST = timedelta(minutes=30), timedelta(hours=12)
SESSION = StaffSession(
    UUID(int=1), StaffMember("zhou.lin", (Role.OPERATOR, Role.LEAD), "L017"),
    SignedInBy.PROVIDER, "Firefox", None, NOW, NOW, NOW + IDLE, NOW + LONGEST,
)  # fmt: skip


def test_a_session_slides_while_it_is_used_and_no_further_than_its_end() -> None:
    session, now = SESSION, NOW
    assert not session.holds(NOW + IDLE)
    while session.holds(now + timedelta(minutes=29)):
        now += timedelta(minutes=29)
        session = session.used(now, IDLE)
    assert now - NOW == timedelta(minutes=29) * 24  # 11 h 36 min; the next would be after 12 h
    assert session.ends_at == session.idle_ends_at == NOW + LONGEST


def test_a_role_that_somebody_has_not_got_is_not_chosen() -> None:
    assert SESSION.acting_first_as(Role.LEAD).staff.roles == (Role.LEAD, Role.OPERATOR)
    with pytest.raises(ValueError, match="administrator"):
        SESSION.acting_first_as(Role.ADMINISTRATOR)


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("/work", True),
        ("/cases/261122-0418?lang=en", True),
        ("https://staff.example/board", True),
        ("https://staff.example.evil.example/", False),
        ("https://staff.example@evil.example/", False),
        ("http://staff.example/board", False),
        ("//evil.example", False),
        ("///evil.example", False),
        ("/\\evil.example", False),
        ("\\\\evil.example", False),
        ("/\t/evil.example", False),
        ("javascript:alert(1)", False),
        ("https:evil.example", False),
        ("work", False),
        ("https://[", False),
        ("", False),
        (None, False),
    ],
)
def test_a_sign_in_leads_to_our_own_pages_alone(address: str | None, good: bool) -> None:
    addresses = ReturnAddresses(["https://staff.example", ""])
    assert (addresses.checked(address) is not None) == good
