"""Who calls: people by token, services and channels by key."""

import hmac
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.callers import (
    TOKEN_PARAMETER,
    ChannelCaller,
    Person,
    Principal,
    ServiceCaller,
    Via,
)
from lastmetre.common.security.staff_cookies import tokens_in_cookies

if TYPE_CHECKING:  # a command signs tokens and has no use for a web framework
    from fastapi import Request


class TokenReader(Protocol):
    """Knows one kind of tokens."""

    def read(self, token: str, via: Via) -> Person | None:
        """Whose token it is; None if it is of another kind, not good, or at its end."""


class CredentialAuthenticator:
    """Knows people by the tokens of any of `tokens`, services and channels by key.

    `service_keys` maps a service's name to the SHA-256 of its key, or of several, `channel_keys` a
    key's SHA-256 to the channel and sender. Only with `by_link` a token in a page's address counts.
    """

    def __init__(
        self,
        tokens: Sequence[TokenReader],
        *,
        service_keys: Mapping[str, Sequence[str]],
        channel_keys: Mapping[str, ChannelCaller],
        by_link: bool,
    ) -> None:
        self._tokens = tokens
        self._service_keys = tuple(
            (name, digest) for name, digests in service_keys.items() for digest in digests
        )
        self._channel_keys = channel_keys
        self._by_link = by_link

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
        if self._by_link and link is not None and request.method == "GET":
            return self._person(link, Via.LINK)
        kept = (self._person(token, Via.COOKIE) for token in tokens_in_cookies(request))
        return next((person for person in kept if person), None)

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
        found = (each.read(token, via) for each in self._tokens)
        return next((person for person in found if person), None)
