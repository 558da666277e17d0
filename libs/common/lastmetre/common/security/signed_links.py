"""Secrets that residents hold: receipts and links. Checked without a database.

A secret is `identity + tag`, the tag an HMAC-SHA256 of the identity under a purpose of its own,
so that a receipt does not reveal the link to its progress page.

The key of the tags can be replaced: links that an old one made are opened as long as it is known.
The key of the identities cannot, for by it a repetition of a report is recognised.
"""

import base64
import hmac
from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

RECEIPT_IDENTITY_BYTES = 12
_TAG_BYTES = {"receipt": 3, "progress": 13, "rate": 12}


class LinkPurpose(StrEnum):
    """What a secret opens."""

    RECEIPT = "receipt"
    PROGRESS = "progress"
    RATE = "rate"


def rating_identity(case_id: UUID, seq: int, report_id: UUID | None = None) -> bytes:
    """What a rating's link stands for: the closing of a case, which is named by its seq, and who
    judges it: a report that has joined the case, or none for the one it was registered for."""
    return case_id.bytes + seq.to_bytes(4, "big") + (report_id.bytes if report_id else b"")


_Keyed = dict[LinkPurpose, "hmac.HMAC"]


class SignedLinks:
    """Seals secrets with one key, and opens those of that one and of old ones.

    `identity_key` is the first link key that the installation had; None where that is `key`.
    """

    def __init__(
        self, key: bytes, *, old_keys: Sequence[bytes] = (), identity_key: bytes | None = None
    ) -> None:
        # Copies of one that has the key take two thirds of the time.
        self._identity = hmac.new(identity_key or key, b"identity\0", "sha256")
        self._keyed: _Keyed = _tags_of(key)
        self._old = [_tags_of(each) for each in old_keys]

    @staticmethod
    def _tag(keys: _Keyed, purpose: LinkPurpose, identity: bytes) -> bytes:
        keyed = keys[purpose].copy()
        keyed.update(identity)
        return keyed.digest()[: _TAG_BYTES[purpose]]

    def receipt_identity(self, sender: str, channel: str, source_id: str) -> bytes:
        """What a report's receipt stands for: the same for every repetition of the report."""
        keyed = self._identity.copy()
        keyed.update("\0".join((sender, channel, source_id)).encode())
        return keyed.digest()[:RECEIPT_IDENTITY_BYTES]

    def seal(self, purpose: LinkPurpose, identity: bytes) -> str:
        """The secret for `identity`: letters and digits only, safe in a URL and on the phone."""
        sealed = identity + self._tag(self._keyed, purpose, identity)
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
        ours = any(
            hmac.compare_digest(tag, self._tag(keys, purpose, identity))
            for keys in (self._keyed, *self._old)
        )
        return identity if ours else None


def _tags_of(key: bytes) -> _Keyed:
    return {each: hmac.new(key, each.encode() + b"\0", "sha256") for each in LinkPurpose}
