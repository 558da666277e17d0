"""Links that sign a lead in on his own device, short enough for a text message.

Whoever has such a link acts as that lead: it goes to him alone, and holds for some days only.
"""

import base64
import hmac
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

LINK_LIFETIME: Final = timedelta(days=14)
DEVICE_LIFETIME: Final = timedelta(days=90)
"""How long a device that was signed in by a link stays so."""
_EPOCH: Final = datetime(2020, 1, 1, tzinfo=UTC)
_DAY_BYTES: Final = 2
_TAG_BYTES: Final = 12
_LONGEST: Final = 256


class LeadLinks:
    """Seals links with the installation's link key, and opens those of that one and of old ones."""

    def __init__(self, key: bytes, old_keys: Sequence[bytes] = ()) -> None:
        self._keys = [hmac.digest(each, b"lead link\0", "sha256") for each in (key, *old_keys)]

    def seal(self, lead_id: str, now: datetime) -> str:
        """The secret for a lead, good from `now` (real time); letters and digits only."""
        last_day = (now + LINK_LIFETIME - _EPOCH).days
        identity = last_day.to_bytes(_DAY_BYTES, "big") + lead_id.encode()
        sealed = identity + _tag(self._keys[0], identity)
        return base64.b32encode(sealed).decode().rstrip("=").lower()

    def open(self, secret: str, now: datetime) -> str | None:
        """The lead's id; None if we did not make the secret, or its time is over."""
        if not secret.isascii() or len(secret) > _LONGEST:
            return None
        try:
            sealed = base64.b32decode(secret.upper() + "=" * (-len(secret) % 8))
        except ValueError:
            return None
        identity, tag = sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:]
        if not any(hmac.compare_digest(tag, _tag(key, identity)) for key in self._keys):
            return None
        last_day = int.from_bytes(identity[:_DAY_BYTES], "big")
        if (now - _EPOCH).days > last_day:
            return None
        return identity[_DAY_BYTES:].decode()


def _tag(key: bytes, identity: bytes) -> bytes:
    return hmac.digest(key, identity, "sha256")[:_TAG_BYTES]
