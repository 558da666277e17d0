"""The vault: personal data at rest, AES-256-GCM, each row bound to what it belongs to."""

import hmac
import os
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lastmetre.common.contact import Reachable
from lastmetre.common.contracts.base import Language, Model
from lastmetre.common.contracts.reports import ReportSubmitted

_NONCE_BYTES: Final = 12
_DEAD_LETTER: Final = b"dead-letter"
_FINGERPRINTS: Final = b"fingerprints"


class VaultEntry(Model):
    """What the vault keeps of a report: as it was typed, and what of it can be used."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    usable_phone: str | None = None
    usable_email: str | None = None
    language: Language = Language.CHINESE
    text: str | None = None
    address: str | None = None

    @classmethod
    def of(cls, report: ReportSubmitted, reachable: Reachable) -> Self:
        """The personal part of a report."""
        contact = report.contact
        return cls(
            name=contact.name if contact else None,
            phone=contact.phone if contact else None,
            email=contact.email if contact else None,
            usable_phone=reachable.phone,
            usable_email=reachable.email,
            language=contact.language if contact else Language.CHINESE,
            text=report.text,
            address=report.address,
        )

    def to_json(self) -> bytes:
        """As it goes into the vault."""
        return self.__pydantic_serializer__.to_json(self, exclude_defaults=True)


class LeadContact(Model):
    """How an area lead is reached."""

    phone: str | None = None
    email: str | None = None
    language: Language = Language.CHINESE

    def to_json(self) -> bytes:
        """As it goes into the vault."""
        return self.model_dump_json().encode()


class CannotOpen(Exception):
    """Sealed with another key, or moved to another row."""


class Vault:
    """Seals and opens with one key. `belongs_to` is authenticated: a sealed value cannot move."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key[:32])
        fingerprint_key = hmac.digest(key[:32], _FINGERPRINTS, "sha256")
        self._fingerprints = hmac.new(fingerprint_key, digestmod="sha256")

    def seal(self, body: bytes, belongs_to: bytes) -> bytes:
        """Nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, belongs_to)

    def open(self, sealed: bytes, belongs_to: bytes) -> bytes:
        """What was sealed; raises CannotOpen."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], belongs_to)
        except InvalidTag as error:
            raise CannotOpen("the vault cannot open a row: is INTAKE_VAULT_KEY the old one?") from (
                error
            )

    def fingerprint(self, body: bytes) -> bytes:
        """Tells a body from another. Keyed: a short text could be guessed from a plain hash."""
        keyed = self._fingerprints.copy()
        keyed.update(body)
        return keyed.digest()


class EncryptedDeadLetters:
    """Keeps the bodies of dead letters closed: they may hold anything that a channel sent."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def seal(self, body: bytes) -> bytes:
        """As it is stored."""
        return self._vault.seal(body, _DEAD_LETTER)

    def open(self, sealed: bytes) -> bytes:
        """As it came."""
        return self._vault.open(sealed, _DEAD_LETTER)
