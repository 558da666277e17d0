"""Access tokens of staff: intake signs them when somebody signs in, every service checks them.

JWT (RFC 9068 in its form), signed by Ed25519. Services hold public keys alone: none but intake can
make anybody an administrator. A token ends after some minutes; that is how long a sign-in that was
revoked goes on at most.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lastmetre.common.contracts.base import Code
from lastmetre.common.security.callers import Person, Role, StaffMember, Via
from lastmetre.common.security.keys import key_id
from lastmetre.common.service.clock import Clock

_ALGORITHM: Final = "Ed25519"
_TYPE: Final = "at+jwt"
_Ours = Literal["lastmetre"]


class _Claims(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    iss: _Ours = "lastmetre"
    aud: _Ours = "lastmetre"
    sub: Code
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    lead_id: Code | None = None
    iat: int
    exp: int

    @model_validator(mode="after")
    def _leads_have_an_id(self) -> "_Claims":
        if (Role.LEAD in self.roles) != (self.lead_id is not None):
            raise ValueError("lead_id belongs to leads, and to each of them")
        return self


def public_key(key: bytes) -> bytes:
    """What the other services hold of a key (32 random bytes) that signs."""
    return Ed25519PrivateKey.from_private_bytes(key).public_key().public_bytes_raw()


class AccessTokenSigner:
    """Signs with `key`, 32 random bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(key))
        self._header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": key_id(public_key(key)).hex()}

    def sign(self, staff: StaffMember, now: datetime, lifetime: timedelta) -> str:
        """A token that is good from `now` (real time, aware) for `lifetime`.

        Raises ValueError for a subject or lead that cannot stand in the ledger.
        """
        claims = _Claims(
            sub=staff.subject,
            roles=staff.roles,
            lead_id=staff.lead_id,
            iat=int(now.timestamp()),
            exp=int((now + lifetime).timestamp()),
        )
        said = claims.model_dump(exclude_none=True, mode="json")
        return jwt.encode(self._header, said, self._key, algorithms=[_ALGORITHM])


class AccessTokenReader:
    """Knows the tokens that one of these public keys has signed. `clock` must be a real one."""

    def __init__(self, public_keys: Sequence[bytes], clock: Clock) -> None:
        self._keys = {
            key_id(key).hex(): OKPKey.import_key(Ed25519PublicKey.from_public_bytes(key))
            for key in public_keys
        }
        self._clock = clock

    def read(self, token: str, via: Via) -> Person | None:
        """Whose token it is; None if it is not ours, or its time is over."""
        try:
            claims = _Claims.model_validate(self._verified(token))
        except (JoseError, ValueError):  # a ValidationError is a ValueError
            return None
        if claims.exp <= self._clock.now().timestamp():  # joserfc does not look at exp
            return None
        return StaffMember(claims.sub, claims.roles, claims.lead_id).person(via)

    def _verified(self, token: str) -> dict[str, Any]:
        found = jwt.decode(token, self._key_of, algorithms=[_ALGORITHM])
        if found.header.get("typ") != _TYPE:
            raise ValueError("another kind of token")
        return found.claims

    def _key_of(self, token: Any) -> OKPKey:
        key = self._keys.get(str(token.headers().get("kid")))
        if key is None:
            raise ValueError("signed with an unknown key")
        return key
