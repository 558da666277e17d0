"""Development keys and passwords of one stack, made once and kept in its home."""

import base64
import hashlib
import json
import secrets
from pathlib import Path

from pydantic import BaseModel, Field

from lastmetre.cli.endpoints import SENDERS
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.provide import AUDIT_ROLE
from lastmetre.common.security.access_tokens import public_key
from lastmetre.devstack.home import write_private

SUPERUSER = "postgres"
PROMETHEUS = "prometheus"
"""Asks for the city's figures, with a key as a service has one."""


def _key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")


def _word() -> str:
    return secrets.token_urlsafe(24)


class Keys(BaseModel):
    """What must never be in the repository. Keys are 32 random bytes, base64url."""

    token_key: str = Field(default_factory=_key)
    access_key: str = Field(default_factory=_key)
    link_key: str = Field(default_factory=_key)
    vault_key: str = Field(default_factory=_key)
    service_keys: dict[str, str] = Field(
        default_factory=lambda: {caller: _word() for caller in (*SERVICES, PROMETHEUS)}
    )
    channel_keys: dict[Channel, str] = Field(default_factory=lambda: {c: _word() for c in Channel})
    database_passwords: dict[str, str] = Field(
        default_factory=lambda: {role: _word() for role in (*SERVICES, AUDIT_ROLE, SUPERUSER)}
    )

    @classmethod
    def kept_in(cls, folder: Path) -> "Keys":
        """The keys of this folder, made if there are none; and the files that services read."""
        file = folder / "keys.json"
        keys = cls.model_validate_json(file.read_text("utf-8")) if file.exists() else cls()
        # Also those that a build of before did not know.
        write_private(file, keys.model_dump_json(indent=2))
        for name in ("token_key", "access_key", "link_key", "vault_key"):
            write_private(folder / name, getattr(keys, name))
        write_private(folder / "channel_keys.json", json.dumps(keys.hashed_channel_keys()))
        return keys

    @property
    def public_access_key(self) -> str:
        """What every service holds of the key that signs access tokens."""
        public = public_key(base64.urlsafe_b64decode(self.access_key))
        return base64.urlsafe_b64encode(public).decode("ascii")

    def hashed_channel_keys(self) -> list[dict[str, str | bool]]:
        """What intake knows of the channels' keys."""
        return [
            {
                "channel": channel.value,
                "sender": SENDERS[channel],
                "sha256": _sha256(key),
                "history": True,
            }
            for channel, key in self.channel_keys.items()
        ]

    def hashed_service_keys(self) -> dict[str, str]:
        """What services know of each other's keys."""
        return {service: _sha256(key) for service, key in self.service_keys.items()}


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
