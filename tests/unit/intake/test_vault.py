"""The vault opens only what it sealed, for what it was sealed for."""

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from lastmetre.common.categories import Categories
from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.intake.adapters.vault_cipher import (
    CannotOpen,
    EncryptedDeadLetters,
    Vault,
)
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.normalise import Sent, normalise
from lastmetre.intake.domain.submission import canonical, channel_and_sender, source_of
from lastmetre.intake.domain.vault_entries import VaultEntry

VAULT = Vault(b"k" * 32)


def made_of(report: ReportSubmitted) -> VaultEntry:
    sent = Sent("app", report, datetime(2026, 11, 30, tzinfo=UTC))
    (made,) = normalise([sent], CategoryCodes(Categories()), ContactCheck("CN"))
    return VaultEntry.of(report, made)


def test_round_trip_and_nothing_readable() -> None:
    report = ReportSubmitted.model_validate(
        {"source_id": "1", "text": "路灯", "contact": {"name": "王", "phone": "13800138000"}}
    )
    kept = made_of(report)
    sealed = VAULT.seal(kept.to_json(), b"report")
    assert b"13800138000" not in sealed
    assert VaultEntry.model_validate_json(VAULT.open(sealed, b"report")) == kept
    assert sealed != VAULT.seal(kept.to_json(), b"report")


def test_what_was_sent_is_kept_beside_what_people_read() -> None:
    kept = made_of(ReportSubmitted(source_id="1", text="<p>路灯</p>", address="人民路&nbsp;1号"))
    assert (kept.text, kept.address) == ("<p>路灯</p>", "人民路&nbsp;1号")
    assert (kept.shown_text, kept.shown_address) == ("路灯", "人民路 1号")
    plain = made_of(ReportSubmitted(source_id="1", text="路灯", address=None))
    assert (plain.readable_text, plain.shown_text, plain.shown_address) == (None, "路灯", None)
    assert VaultEntry(text="路灯").shown_text == "路灯", "one of an older build"


def test_a_sealed_value_cannot_move_nor_change() -> None:
    sealed = VAULT.seal(b"x", b"one")
    with pytest.raises(CannotOpen):
        VAULT.open(sealed, b"two")
    with pytest.raises(CannotOpen):
        Vault(b"o" * 32).open(sealed, b"one")
    with pytest.raises(CannotOpen):
        VAULT.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), b"one")


RECORD = ConsumedRecord("channels.app", 3, 7, 1_790_000_000_000, b"key", "路灯".encode(), [])


@pytest.mark.parametrize(
    "other",
    [{"topic": "channels.hotline"}, {"partition": 4}, {"offset": 8}, {"timestamp": 1}],
)
def test_l9_a_dead_letter_opens_in_its_own_row_alone(other: dict[str, Any]) -> None:
    letters = EncryptedDeadLetters(VAULT)
    sealed = letters.seal(RECORD)
    assert sealed.value is not None
    assert "路灯".encode() not in sealed.value
    assert sealed._replace(value=RECORD.value) == RECORD
    assert letters.open(sealed) == RECORD
    with pytest.raises(CannotOpen):
        letters.open(sealed._replace(**other))


def test_a_dead_letter_of_before_still_opens_and_one_without_a_body_has_none() -> None:
    letters = EncryptedDeadLetters(VAULT)
    assert RECORD.value is not None
    old = RECORD._replace(value=VAULT.seal(RECORD.value, b"dead-letter"))
    assert letters.open(old) == RECORD
    empty = RECORD._replace(value=None)
    assert letters.open(letters.seal(empty)) == empty
    with pytest.raises(CannotOpen):
        letters.open(RECORD._replace(value=VAULT.seal(b"x", b"one")))


def test_repetition_is_known_whatever_its_white_space() -> None:
    one = ReportSubmitted.from_json(b'{"source_id": "1", "text": "x", "unknown": 1}')
    two = ReportSubmitted.from_json(b'{"text":"x","source_id":"1","origin":"live","category":null}')
    assert canonical(one) == canonical(two)
    assert ReportSubmitted.from_json(canonical(one)) == one


def test_a_fingerprint_tells_bodies_apart_and_nobody_without_the_key_can_make_it() -> None:
    fingerprint = VAULT.fingerprint(b"x")
    assert fingerprint == Vault(b"k" * 32).fingerprint(b"x")
    assert fingerprint != VAULT.fingerprint(b"y")
    assert fingerprint != Vault(b"o" * 32).fingerprint(b"x")
    assert fingerprint != hashlib.sha256(b"x").digest()


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (source_of("hotline", "12345"), ("hotline", "12345")),
        ("/channels/fax/12345", None),
        ("/channels/app/a/b", None),
        ("/channels/app/", None),
        ("/channels/app/a\n", None),
        ("channels/app/a", None),
    ],
)
def test_source(source: str, named: tuple[str, str] | None) -> None:
    assert channel_and_sender(source) == named
