"""A sign-in at the city's identity provider that is under way, and how it may fail."""

import base64
import hashlib
import json
from typing import NamedTuple


class ProviderAway(Exception):
    """It does not answer, or not as an identity provider does. The message is for the log."""


class NotProved(Exception):
    """It is not proved who he is; `why` is for the security log."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class Asked(NamedTuple):
    """One sign-in under way. All of it stays in the browser that began it, for some minutes."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str
    leads_to: str

    @property
    def challenge(self) -> str:
        """Of the verifier (RFC 7636, S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def text(self) -> str:
        """For a cookie."""
        return base64.urlsafe_b64encode(json.dumps(self).encode()).decode()

    @classmethod
    def read(cls, text: str | None) -> "Asked | None":
        """What `text` gave; None for anything else."""
        try:
            fields = json.loads(base64.urlsafe_b64decode(text or ""))
        except ValueError:
            return None
        whole = isinstance(fields, list) and len(fields) == len(cls._fields)
        return cls(*fields) if whole and all(isinstance(each, str) for each in fields) else None
