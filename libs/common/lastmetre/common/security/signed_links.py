"""Secrets that residents hold: receipts and links. Checked without a database.

A secret is `identity + tag`, the tag an HMAC-SHA256 of the identity under a purpose of its own,
so that a receipt does not reveal the link to its progress page.
"""

import base64
import hmac
from enum import StrEnum

RECEIPT_IDENTITY_BYTES = 12
_TAG_BYTES = {"receipt": 3, "progress": 13, "rate": 12}


class LinkPurpose(StrEnum):
    """What a secret opens."""

    RECEIPT = "receipt"
    PROGRESS = "progress"
    RATE = "rate"


class SignedLinks:
    """Seals and opens secrets with one key."""

    def __init__(self, key: bytes) -> None:
        # Copies of one that has the key take two thirds of the time.
        self._identity = hmac.new(key, b"identity\0", "sha256")
        self._keyed = {each: hmac.new(key, each.encode() + b"\0", "sha256") for each in LinkPurpose}

    def _tag(self, purpose: LinkPurpose, identity: bytes) -> bytes:
        keyed = self._keyed[purpose].copy()
        keyed.update(identity)
        return keyed.digest()[: _TAG_BYTES[purpose]]

    def receipt_identity(self, sender: str, channel: str, source_id: str) -> bytes:
        """What a report's receipt stands for: the same for every repetition of the report."""
        keyed = self._identity.copy()
        keyed.update("\0".join((sender, channel, source_id)).encode())
        return keyed.digest()[:RECEIPT_IDENTITY_BYTES]

    def seal(self, purpose: LinkPurpose, identity: bytes) -> str:
        """The secret for `identity`: letters and digits only, safe in a URL and on the phone."""
        sealed = identity + self._tag(purpose, identity)
        return base64.b32encode(sealed).decode().rstrip("=").lower()

    def open(self, purpose: LinkPurpose, secret: str) -> bytes | None:
        """The identity inside `secret`, or None if we did not make it for this purpose."""
        if not secret.isascii() or len(secret) > 128:
            return None
        padded = secret.upper() + "=" * (-len(secret) % 8)
        try:
            sealed = base64.b32decode(padded)
        except ValueError:
            return None
        identity = sealed[: -_TAG_BYTES[purpose]]
        tag = sealed[-_TAG_BYTES[purpose] :]
        return identity if hmac.compare_digest(tag, self._tag(purpose, identity)) else None
