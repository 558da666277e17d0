"""Keys are replaced: what people hold still opens, and nothing else does."""

import base64
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError
from starlette.requests import Request
from tests.support.authenticators import authenticator as authenticator_of

from lastmetre.cli.console import UsedWrongly
from lastmetre.cli.rotate import NAMES, Key, named, new_key, replaced, service_replaced
from lastmetre.common.security.authenticator import CredentialAuthenticator
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.callers import Person, Role, ServiceCaller
from lastmetre.common.security.keys import key_id
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.security.tokens import issue_token
from lastmetre.common.service.clock import RealClock
from lastmetre.intake.adapters.vault_cipher import (
    CannotOpen,
    Vault,
    conflict_of,
    key_named,
    open_conflict,
)
from lastmetre.intake.settings import ResealSettings
from lastmetre.notify.settings import NotifySettings

ONE, TWO, THREE = b"1" * 32, b"2" * 32, b"3" * 32
REPORT = UUID(int=7)


def text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


# --- links


@pytest.mark.parametrize("purpose", list(LinkPurpose))
def test_links_of_an_old_key_open(purpose: LinkPurpose) -> None:
    before = SignedLinks(ONE).seal(purpose, b"identity 12.")
    links = SignedLinks(THREE, old_keys=[TWO, ONE], identity_key=ONE)
    assert links.open(purpose, before) == b"identity 12."
    assert links.seal(purpose, b"identity 12.") != before
    assert SignedLinks(THREE, old_keys=[TWO], identity_key=ONE).open(purpose, before) is None
    others = [each for each in LinkPurpose if each is not purpose]
    assert all(links.open(each, before) is None for each in others)


def test_a_repetition_is_one_whatever_key_the_links_have() -> None:
    first = SignedLinks(ONE).receipt_identity("desk", "app", "1")
    assert (
        SignedLinks(TWO, old_keys=[ONE], identity_key=ONE).receipt_identity("desk", "app", "1")
        == first
    )
    assert SignedLinks(TWO).receipt_identity("desk", "app", "1") != first


# --- tokens and service keys


def asking(bearer: str) -> Request:
    headers = [(b"authorization", b"Bearer " + bearer.encode())]
    return Request({"type": "http", "method": "GET", "headers": headers, "query_string": b""})


async def test_tokens_and_service_keys_of_before_hold_until_they_are_taken_away() -> None:
    def authenticator(*, old: bool) -> CredentialAuthenticator:
        digests = [key_digest("new"), *([key_digest("before")] if old else [])]
        return authenticator_of(
            TWO, old_token_keys=[ONE] if old else [], service_keys={"notify": digests},
            channel_keys={}, clock=RealClock(),
        )  # fmt: skip

    def token(key: bytes) -> str:
        now, hour = datetime.now(UTC), timedelta(hours=1)
        return issue_token(key, "qian", Role.SUPERVISOR, None, now, hour)

    during, after = authenticator(old=True), authenticator(old=False)
    for each in (token(ONE), token(TWO)):
        assert isinstance(await during.identify(asking(each)), Person)
    for each in ("before", "new"):
        assert await during.identify(asking(each)) == ServiceCaller("notify")
    assert await after.identify(asking(token(ONE))) is None
    assert await after.identify(asking("before")) is None
    assert isinstance(await after.identify(asking(token(TWO))), Person)
    assert await during.identify(asking(token(THREE))) is None


# --- the vault


def test_the_vault_opens_what_any_of_its_keys_sealed() -> None:
    before = Vault(ONE).seal(b"x", b"row")
    during = Vault(TWO, old_keys=[ONE], fingerprint_key=ONE)
    assert during.open(before, b"row") == b"x"
    assert key_named(before) is None
    now = during.seal(b"x", b"row")
    assert key_named(now) == key_id(TWO)
    assert during.is_current(now)
    assert not during.is_current(before)
    later = Vault(THREE, old_keys=[TWO], fingerprint_key=ONE)
    assert later.open(now, b"row") == b"x"
    with pytest.raises(CannotOpen):
        later.open(before, b"row")
    with pytest.raises(CannotOpen):
        during.open(now, b"another row")


def test_a_fingerprint_outlives_the_vault_key() -> None:
    first = Vault(ONE).fingerprint(b"x")
    assert Vault(TWO, old_keys=[ONE], fingerprint_key=ONE).fingerprint(b"x") == first
    assert Vault(THREE, fingerprint_key=ONE).fingerprint(b"x") == first


def test_what_cannot_be_opened_says_whether_its_key_is_here() -> None:
    vault = Vault(TWO, fingerprint_key=ONE)
    damaged = bytearray(vault.seal(b"x", b"row"))
    damaged[-1] ^= 1
    with pytest.raises(CannotOpen) as found:
        vault.open(bytes(damaged), b"row")
    assert (found.value.key, found.value.key_is_known) == (key_id(TWO), True)
    with pytest.raises(CannotOpen) as found:
        vault.open(Vault(THREE, fingerprint_key=ONE).seal(b"x", b"row"), b"row")
    assert (found.value.key, found.value.key_is_known) == (key_id(THREE), False)
    with pytest.raises(CannotOpen) as found:
        vault.open(Vault(THREE).seal(b"x", b"row"), b"row")
    assert (found.value.key, found.value.key_is_known) == (None, False)


def test_a_contradiction_cannot_take_the_place_of_the_report() -> None:
    vault = Vault(ONE)
    conflict = vault.seal(b"forged", conflict_of(REPORT))
    assert open_conflict(vault, conflict, REPORT) == b"forged"
    with pytest.raises(CannotOpen):
        vault.open(conflict, REPORT.bytes)
    assert open_conflict(vault, vault.seal(b"of before", REPORT.bytes), REPORT) == b"of before"


# --- settings


def test_an_old_key_needs_the_first_one_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "INTAKE_DATABASE_URL": "postgresql://x", "INTAKE_VAULT_KEY": text(TWO),
        "KAFKA_BOOTSTRAP_SERVERS": "x:1",
        "INTAKE_VAULT_OLD_KEYS": f"{text(ONE)}, {text(THREE)}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match="INTAKE_FINGERPRINT_KEY"):
        ResealSettings()
    monkeypatch.setenv("INTAKE_FINGERPRINT_KEY", text(ONE))
    assert ResealSettings().vault_old_keys == (ONE, THREE)
    assert text(ONE) not in repr(ResealSettings())
    assert repr(ONE) not in repr(ResealSettings())
    monkeypatch.setenv("INTAKE_VAULT_OLD_KEYS", "c2hvcnQ=")
    with pytest.raises(ValidationError, match="at least 32"):
        ResealSettings()


def test_old_link_keys_need_the_first_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text(text(ONE) + "\n" + text(THREE) + "\n")
    for name, value in {
        "NOTIFY_DATABASE_URL": "postgresql://x", "NOTIFY_SERVICE_KEY": "x",
        "INTAKE_INTERNAL_URL": "http://x", "LASTMETRE_ACCESS_KEYS": text(ONE),
        "LASTMETRE_LINK_KEY": text(TWO), "LASTMETRE_LINK_OLD_KEYS_FILE": str(old),
        "LASTMETRE_SERVICE_KEYS": json.dumps({"intake": "aa", "notify": ["bb", "cc"]}),
        "KAFKA_BOOTSTRAP_SERVERS": "x:1",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match="LASTMETRE_IDENTITY_KEY"):
        NotifySettings()
    monkeypatch.setenv("LASTMETRE_IDENTITY_KEY", text(ONE))
    settings = NotifySettings()
    assert settings.link_old_keys == (ONE, THREE)
    assert settings.service_keys == {"intake": ("aa",), "notify": ("bb", "cc")}


# --- the command


@pytest.mark.parametrize("key", list(NAMES))
def test_the_command_keeps_what_is_there(key: Key) -> None:
    name, old_name, first_name = {
        Key.LINK: ("LASTMETRE_LINK_KEY", "LASTMETRE_LINK_OLD_KEYS", "LASTMETRE_IDENTITY_KEY"),
        Key.TOKEN: ("LASTMETRE_TOKEN_KEY", "LASTMETRE_TOKEN_OLD_KEYS", None),
        Key.VAULT: ("INTAKE_VAULT_KEY", "INTAKE_VAULT_OLD_KEYS", "INTAKE_FINGERPRINT_KEY"),
    }[key]
    first = replaced(key, {name: text(ONE)}, lambda: text(TWO))
    expected: dict[str, Any] = {name: text(TWO), old_name: text(ONE)}
    assert first == expected | ({first_name: text(ONE)} if first_name else {})
    second = replaced(key, first, lambda: text(THREE))
    expected = {name: text(THREE), old_name: f"{text(TWO)} {text(ONE)}"}
    assert second == expected | ({first_name: text(ONE)} if first_name else {})


def test_the_command_reads_files_and_says_what_it_lacks(tmp_path: Path) -> None:
    file = tmp_path / "vault_key"
    file.write_text(text(ONE) + "\n")
    told = {"INTAKE_VAULT_KEY_FILE": str(file)}
    assert replaced(Key.VAULT, told, lambda: text(TWO))["INTAKE_VAULT_OLD_KEYS"] == text(ONE)
    with pytest.raises(UsedWrongly, match="LASTMETRE_LINK_KEY"):
        replaced(Key.LINK, told, lambda: text(TWO))


def test_a_service_has_two_keys_for_a_while() -> None:
    told = {"LASTMETRE_SERVICE_KEYS": json.dumps({"notify": "aa", "intake": "bb"})}
    settings = service_replaced("notify", told, lambda: "new")
    assert settings["NOTIFY_SERVICE_KEY"] == "new"
    known = json.loads(settings["LASTMETRE_SERVICE_KEYS"])
    assert known == {"intake": "bb", "notify": [key_digest("new"), "aa"]}


def test_keys_are_random_and_their_names_do_not_show_them() -> None:
    key = new_key()
    assert len(base64.urlsafe_b64decode(key)) == 32
    assert key != new_key()
    assert named(text(ONE)) == key_id(ONE).hex()
    assert named(text(ONE)) not in ONE.hex()
