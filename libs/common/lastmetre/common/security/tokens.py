"""Development sign-in: tokens that whoever has the installation's one key can sign.

JWT (HS256) with the claims sub, role, lead_id (leads only) and exp.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ConfigDict, model_validator

from lastmetre.common.contracts.base import Code
from lastmetre.common.security.callers import Person, Role, Via
from lastmetre.common.security.keys import key_id
from lastmetre.common.service.clock import Clock

_ALGORITHM = "HS256"


class _Claims(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=False, frozen=True)

    sub: Code
    role: Role
    exp: int
    lead_id: Code | None = None

    @model_validator(mode="after")
    def _leads_have_an_id(self) -> "_Claims":
        if (self.role is Role.LEAD) != (self.lead_id is not None):
            raise ValueError("lead_id belongs to leads, and to each of them")
        return self


def issue_token(
    key: bytes,
    subject: str,
    role: Role,
    lead_id: str | None,
    now: datetime,
    lifetime: timedelta,
) -> str:
    """A signed token for a person, good from `now` (real time, aware) for `lifetime`.

    Raises ValueError if a lead comes without a `lead_id`, or anyone else with one, and for a
    subject that cannot stand in the ledger.
    """
    claims = _Claims(sub=subject, role=role, lead_id=lead_id, exp=int((now + lifetime).timestamp()))
    header = {"alg": _ALGORITHM, "kid": key_id(key).hex()}
    return jwt.encode(
        header, claims.model_dump(exclude_none=True, mode="json"), OctKey.import_key(key)
    )


class DevelopmentTokens:
    """Knows the tokens that one of `keys` (one at least) has signed. `clock` must be the real one:
    tokens do not live in the demo's time-lapse."""

    def __init__(self, keys: Sequence[bytes], clock: Clock) -> None:
        self._keys = [OctKey.import_key(each) for each in keys]
        self._clock = clock

    def read(self, token: str, via: Via) -> Person | None:
        """Whose token it is; None if it is not ours, or its time is over."""
        try:
            claims = _Claims.model_validate(self._verified(token))
        except (JoseError, ValueError):  # a ValidationError is a ValueError
            return None
        if claims.exp <= self._clock.now().timestamp():  # joserfc does not look at exp
            return None
        return Person(claims.sub, claims.role, claims.lead_id, via)

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims, by one of the keys; raises the JoseError or ValueError of the last."""
        *old, last = self._keys
        for key in old:
            with suppress(JoseError, ValueError):
                return jwt.decode(token, key, algorithms=[_ALGORITHM]).claims
        return jwt.decode(token, last, algorithms=[_ALGORITHM]).claims
