"""Development sign-in: signed tokens for people, keys for services and channels.

Tokens are JWT (HS256) with the claims sub, role, lead_id (leads only) and exp. Keys are random and
known here only by their SHA-256, so whoever reads the settings cannot call.
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey
from pydantic import BaseModel, ConfigDict, TypeAdapter, model_validator

from lastmetre.common.contracts.base import Code
from lastmetre.common.security.callers import (
    TOKEN_PARAMETER,
    ChannelCaller,
    Person,
    Principal,
    Role,
    ServiceCaller,
    Via,
)
from lastmetre.common.security.keys import key_id
from lastmetre.common.security.staff_cookies import token_in_cookie
from lastmetre.common.service.clock import Clock

if TYPE_CHECKING:  # a command signs tokens and has no use for a web framework
    from fastapi import Request

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


def key_digest(key: str) -> str:
    """What the settings hold of a key: the hexadecimal SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class _ChannelKeyEntry(BaseModel):
    channel: str
    sender: str
    sha256: str
    history: bool = False


def read_channel_keys(path: Path) -> dict[str, ChannelCaller]:
    """The channel keys' file (a JSON list of channel, sender, sha256, history) by SHA-256.

    Raises OSError if it cannot be read, ValueError if it is not such a list.
    """
    entries = TypeAdapter(list[_ChannelKeyEntry]).validate_json(path.read_text("utf-8-sig"))
    return {
        entry.sha256.lower(): ChannelCaller(entry.channel, entry.sender, entry.history)
        for entry in entries
    }


class DevelopmentAuthenticator:
    """Knows people by token, services and channels by key.

    Tokens of `old_token_keys` still hold. `service_keys` maps a service's name to the SHA-256 of
    its key, or of several, `channel_keys` a key's SHA-256 to the channel and sender. `clock` must
    be the real one: tokens do not live in the demo's time-lapse.
    """

    def __init__(
        self,
        token_key: bytes,
        *,
        service_keys: Mapping[str, Sequence[str]],
        channel_keys: Mapping[str, ChannelCaller],
        clock: Clock,
        old_token_keys: Sequence[bytes] = (),
    ) -> None:
        self._token_keys = [OctKey.import_key(key) for key in (token_key, *old_token_keys)]
        self._service_keys = tuple(
            (name, digest) for name, digests in service_keys.items() for digest in digests
        )
        self._channel_keys = channel_keys
        self._clock = clock

    async def identify(self, request: "Request") -> Principal | None:
        """Who calls, by the most explicit credential: API key, bearer, link, then cookie."""
        api_key = request.headers.get("x-api-key")
        if api_key is not None:
            return self._channel_keys.get(key_digest(api_key))
        authorization = request.headers.get("authorization")
        if authorization is not None:
            scheme, _, bearer = authorization.partition(" ")
            return self._bearer(bearer.strip()) if scheme.lower() == "bearer" else None
        link = request.query_params.get(TOKEN_PARAMETER)
        if link is not None and request.method == "GET":
            return self._person(link, Via.LINK)
        cookie = token_in_cookie(request)
        return self._person(cookie, Via.COOKIE) if cookie is not None else None

    def _bearer(self, bearer: str) -> Principal | None:
        # A JWT has two dots, a service key (base64url or hex) none.
        if bearer.count(".") == 2:
            return self._person(bearer, Via.HEADER)
        return self._service(bearer)

    def _service(self, key: str) -> ServiceCaller | None:
        digest = key_digest(key)
        matching = [
            name
            for name, known in self._service_keys
            if hmac.compare_digest(known.lower().encode(), digest.encode())
        ]
        return ServiceCaller(matching[0]) if matching else None

    def _person(self, token: str, via: Via) -> Person | None:
        try:
            claims = _Claims.model_validate(self._verified(token))
        except (JoseError, ValueError):  # a ValidationError is a ValueError
            return None
        if claims.exp <= self._clock.now().timestamp():  # joserfc does not look at exp
            return None
        return Person(claims.sub, claims.role, claims.lead_id, via)

    def _verified(self, token: str) -> dict[str, Any]:
        """The claims, by one of the keys; raises the JoseError or ValueError of the last."""
        *old, last = self._token_keys
        for key in old:
            with suppress(JoseError, ValueError):
                return jwt.decode(token, key, algorithms=[_ALGORITHM]).claims
        return jwt.decode(token, last, algorithms=[_ALGORITHM]).claims
