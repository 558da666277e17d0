"""Who may do what: tokens of staff, keys of channels and services, links in people's hands."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from lastmetre.common.contracts.base import Channel
from lastmetre.common.security.access_tokens import AccessTokenSigner, public_key
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks, rating_identity
from lastmetre.common.security.tokens import issue_token

Headers = dict[str, str]


def key_text() -> str:
    """A new key of 256 bits, as a setting has it."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def key_bytes(text: str) -> bytes:
    """A key of a setting as it is used."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _keys_of(names: tuple[str, ...]) -> dict[str, str]:
    return {name: secrets.token_hex(16) for name in names}


@dataclass(frozen=True)
class Credentials:
    """Keys of a city, new ones if none are given; `channels` and `services` have them by name."""

    token_key: str = field(default_factory=key_text)
    link_key: str = field(default_factory=key_text)
    channels: Mapping[str, str] = field(
        default_factory=lambda: _keys_of(tuple(each.value for each in Channel))
    )
    services: Mapping[str, str] = field(
        default_factory=lambda: _keys_of(("intake", "dispatch", "notify", "metrics"))
    )

    access_key: str = field(default_factory=key_text)

    @property
    def public_access_key(self) -> str:
        """What every service holds of the key that signs access tokens."""
        return base64.urlsafe_b64encode(public_key(key_bytes(self.access_key))).decode()

    def signed_in(self, *roles: Role, lead_id: str | None = None) -> Headers:
        """The headers of somebody who has signed in, with all his roles."""
        staff = StaffMember("zhou.lin", roles, lead_id)
        signer = AccessTokenSigner(key_bytes(self.access_key))
        token = signer.sign(staff, datetime.now(UTC), timedelta(minutes=10))
        return {"Authorization": f"Bearer {token}"}

    @property
    def links(self) -> SignedLinks:
        """What makes and opens receipts and links."""
        return SignedLinks(key_bytes(self.link_key))

    def bearer(self, role: Role, lead_id: str | None = None) -> Headers:
        """The headers of a member of staff; of a lead with his id."""
        name, hour = lead_id or f"{role.value}.1", timedelta(hours=1)
        key = key_bytes(self.token_key)
        token = issue_token(key, name, role, lead_id, datetime.now(UTC), hour)
        return {"Authorization": f"Bearer {token}"}

    def channel(self, channel: str) -> Headers:
        """The header that lets a channel in."""
        return {"X-API-Key": self.channels[channel]}

    def service(self, name: str) -> Headers:
        """The header that lets a service in."""
        return {"Authorization": f"Bearer {self.services[name]}"}

    def digests(self) -> dict[str, str]:
        """What a service knows of the others' keys."""
        return {name: key_digest(key) for name, key in self.services.items()}

    def rating_token(self, case_id: UUID, closing: int) -> str:
        """The secret in a rating link."""
        return self.links.seal(LinkPurpose.RATE, rating_identity(case_id, closing))
