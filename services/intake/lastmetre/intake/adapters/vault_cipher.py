"""The vault: personal data at rest, AES-256-GCM, each row bound to what it belongs to."""

import hmac
import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.security.keys import KEY_ID_BYTES, key_id

_NONCE_BYTES: Final = 12
NAMED: Final = b"LMv1"
_HEAD_BYTES: Final = len(NAMED) + KEY_ID_BYTES
DEAD_LETTER: Final = b"dead-letter"
_FINGERPRINTS: Final = b"fingerprints"


class CannotOpen(Exception):
    """Sealed with a key that is not known here, moved to another row, or damaged."""

    def __init__(self, key: bytes | None, *, known: bool) -> None:
        super().__init__("the vault cannot open a row: are all of its keys here?")
        self.key = key
        """The id of the key that it was sealed with; None if it names none, as those of before."""
        self.key_is_known = known
        """Whether that key is here: then the row is damaged."""


class Vault:
    """Seals with one key, opens with that and old ones. `belongs_to` is authenticated: a sealed
    value cannot move.

    `fingerprint_key` is the first vault key that the installation had. Where it is named, keys have
    been replaced, or will be: what is sealed names its key then, and builds of before cannot open
    it.
    """

    def __init__(
        self, key: bytes, *, old_keys: Sequence[bytes] = (), fingerprint_key: bytes | None = None
    ) -> None:
        keys = [each[:32] for each in (key, *old_keys)]
        self._ciphers = {key_id(each): AESGCM(each) for each in keys}
        self._key_id = key_id(keys[0])
        self._names_key = fingerprint_key is not None
        first = (fingerprint_key or key)[:32]
        keyed_by = hmac.digest(first, _FINGERPRINTS, "sha256")
        self._fingerprints = hmac.new(keyed_by, digestmod="sha256")

    def seal(self, body: bytes, belongs_to: bytes) -> bytes:
        """Nonce, ciphertext and tag, behind the key's id if it is named."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._ciphers[self._key_id].encrypt(nonce, body, belongs_to)
        return NAMED + self._key_id + sealed if self._names_key else sealed

    def open(self, sealed: bytes, belongs_to: bytes) -> bytes:
        """What was sealed; raises CannotOpen."""
        named = key_named(sealed)
        if named is not None and (cipher := self._ciphers.get(named)):
            with suppress(InvalidTag):
                return _decrypted(cipher, sealed[_HEAD_BYTES:], belongs_to)
        # A nonce may begin as a name does.
        for cipher in self._ciphers.values():
            with suppress(InvalidTag):
                return _decrypted(cipher, sealed, belongs_to)
        raise CannotOpen(named, known=named in self._ciphers)

    def is_current(self, sealed: bytes) -> bool:
        """Whether it names the key that is sealed with now."""
        return key_named(sealed) == self._key_id

    def fingerprint(self, body: bytes) -> bytes:
        """Tells a body from another. Keyed: a short text could be guessed from a plain hash."""
        keyed = self._fingerprints.copy()
        keyed.update(body)
        return keyed.digest()


def _decrypted(cipher: AESGCM, sealed: bytes, belongs_to: bytes) -> bytes:
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], belongs_to)


def key_named(sealed: bytes) -> bytes | None:
    """The id of the key that a sealed value names; None for one of before."""
    return sealed[len(NAMED) : _HEAD_BYTES] if sealed.startswith(NAMED) else None


def conflict_of(report_id: UUID) -> bytes:
    """What the body of a record that contradicts a report is bound to."""
    return b"conflict\0" + report_id.bytes


def open_conflict(vault: Vault, sealed: bytes, report_id: UUID) -> bytes:
    """Such a body; those of before are bound as the report's own row. Raises CannotOpen."""
    try:
        return vault.open(sealed, conflict_of(report_id))
    except CannotOpen:
        return vault.open(sealed, report_id.bytes)


def dead_letter_of(topic: str, *place: int) -> bytes:
    """What the body of a dead letter is bound to: its record's topic, and `place`, its partition,
    offset and append time (milliseconds)."""
    return b"\0".join((DEAD_LETTER, topic.encode(), *(b"%d" % each for each in place)))


def open_dead_letter(vault: Vault, sealed: bytes, belongs_to: bytes) -> bytes:
    """Such a body; those of before are bound to being one, and no more. Raises CannotOpen."""
    try:
        return vault.open(sealed, belongs_to)
    except CannotOpen:
        return vault.open(sealed, DEAD_LETTER)


class EncryptedDeadLetters:
    """Keeps the bodies of dead letters closed: they may hold anything that a channel sent."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, record: ConsumedRecord) -> ConsumedRecord:
        """As it is stored."""
        if record.value is None:
            return record
        return record._replace(value=self._vault.seal(record.value, _place(record)))

    def open(self, sealed: ConsumedRecord) -> ConsumedRecord:
        """As it came. Raises CannotOpen."""
        if sealed.value is None:
            return sealed
        return sealed._replace(value=open_dead_letter(self._vault, sealed.value, _place(sealed)))


def _place(record: ConsumedRecord) -> bytes:
    return dead_letter_of(record.topic, record.partition, record.offset, record.timestamp)
