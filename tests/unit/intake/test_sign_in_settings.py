"""Settings of the sign-in that fit together, and those that do not."""

import base64
from pathlib import Path

import pytest
from pydantic import ValidationError

from lastmetre.common.security.access_tokens import public_key
from lastmetre.intake.domain.staff_roles import RoleMapping
from lastmetre.intake.domain.staff_sessions import SignedInBy
from lastmetre.intake.settings import IntakeSettings


def text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


KEY = b"k" * 32
RIGHT = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "INTAKE_DATABASE_URL": "postgresql://127.0.0.1:1/intake",
    "INTAKE_SERVICE_KEY": "x",
    "INTAKE_VAULT_KEY": text(KEY),
    "LASTMETRE_LINK_KEY": text(KEY),
    "INTAKE_CHANNEL_KEYS_FILE": "/nowhere",
    "INTAKE_ACCESS_KEY": text(KEY),
    "LASTMETRE_ACCESS_KEYS": f"{text(b'o' * 32)} {text(public_key(KEY))}",
}
PROVIDER = {
    "INTAKE_OIDC_ISSUER": "https://id.example",
    "INTAKE_OIDC_CLIENT_ID": "lastmetre",
    "INTAKE_OIDC_ROLES_FILE": "/nowhere",
}


def settings(monkeypatch: pytest.MonkeyPatch, **changed: str) -> IntakeSettings:
    for name, value in (RIGHT | changed).items():
        monkeypatch.setenv(name, value)
    return IntakeSettings()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"LASTMETRE_ACCESS_KEYS": text(b"o" * 32)}, "lacks the public key"),
        (PROVIDER | {"INTAKE_OIDC_CLIENT_ID": ""}, "go INTAKE_OIDC_CLIENT_ID"),
        (PROVIDER | {"INTAKE_OIDC_ISSUER": "http://id.example"}, "begins with https://"),
        (PROVIDER | {"INTAKE_OIDC_ISSUER": "http://127.0.0.1.evil.example"}, "begins with https"),
    ],
)
def test_what_does_not_fit_is_named(
    changed: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError, match=said):
        settings(monkeypatch, **changed)


@pytest.mark.parametrize(
    ("changed", "with_passwords"),
    [
        ({}, True),
        (PROVIDER, False),
        (PROVIDER | {"INTAKE_PASSWORDS": "true"}, True),
        ({"INTAKE_PASSWORDS": "false"}, False),
    ],
)
def test_passwords_are_good_where_there_is_no_provider(
    changed: dict[str, str], with_passwords: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert settings(monkeypatch, **changed).with_passwords == with_passwords


def test_desks_are_signed_out_and_devices_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    lifetimes = settings(monkeypatch).lifetimes()
    hours = {how: each.longest.total_seconds() / 3600 for how, each in lifetimes.items()}
    assert hours == {
        SignedInBy.PROVIDER: 12,
        SignedInBy.PASSWORD: 12,
        SignedInBy.LINK: 90 * 24,
        SignedInBy.DISPLAY: 365 * 24,
    }
    assert lifetimes[SignedInBy.PROVIDER].idle.total_seconds() == 1800
    assert lifetimes[SignedInBy.DISPLAY].idle.days == 30


def test_no_claim_makes_somebody_a_screen() -> None:
    mapping = {"subject": "sub", "roles": [{"role": "display", "claim": "roles", "value": "tv"}]}
    with pytest.raises(ValidationError, match="nobody who signs in there"):
        RoleMapping.model_validate(mapping)


def test_the_sample_of_the_documents_is_a_mapping() -> None:
    document = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    sample = document.split("```json\n")[1].split("```")[0]
    mapping = RoleMapping.model_validate_json(sample)
    staff = mapping.staff_member({"preferred_username": "qian.wei", "roles": ["lastmetre-lead"]})
    assert (staff.roles[0].value, staff.lead_id) == ("lead", "L009")
