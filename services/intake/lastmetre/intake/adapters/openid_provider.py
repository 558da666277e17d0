"""The city's identity provider, by OpenID Connect (authorization code with PKCE).

What is subtle of it, signatures and claims, is joserfc's. All addresses come from the provider's
own discovery document, which must name the issuer that the settings name.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
import structlog
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jwt import JWTClaimsRegistry
from pydantic import BaseModel, ConfigDict, ValidationError

from lastmetre.common.service.clock import Clock
from lastmetre.intake.domain.identity_provider import Asked, NotProved, ProviderAway
from lastmetre.intake.domain.staff_sessions import AtProvider

log = structlog.get_logger()

ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
)  # fmt: skip
"""By a private key each: none by a secret that others share, and not `none`."""
KEYS_KEPT: Final = timedelta(minutes=10)
"""How long a key that the provider has taken away goes on being known at most."""
KEYS_ASKED_EVERY: Final = timedelta(seconds=30)
"""However many tokens name unknown keys, the provider is asked no more often."""
DISCOVERY_KEPT: Final = timedelta(hours=1)
CLOCKS_APART_SECONDS: Final = 30
TIMEOUT_SECONDS: Final = 5.0
_LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
_Keys = dict[str | None, Key]


class _Discovery(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    end_session_endpoint: str | None = None
    code_challenge_methods_supported: tuple[str, ...] = ("S256",)


class OpenIdProvider:
    """One provider, for one client of it. Without `client_secret` the client is a public one.

    Access tokens of partners' systems have to name `audience`.
    """

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        *,
        audience: str,
        scopes: str,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._audience = audience
        self._scopes = scopes
        self._clock = clock
        self._http = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS, trust_env=False, transport=transport
        )
        self._discovered: tuple[datetime, _Discovery] | None = None
        self._keys: _Keys = {}
        self._keys_asked_at: datetime | None = None

    @property
    def issuer(self) -> str:
        """Who it says it is."""
        return self._issuer

    async def authorization_url(self, asked: Asked) -> str:
        """Where the browser goes to sign in. Raises ProviderAway."""
        discovery = await self._discovery()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": asked.redirect_uri,
            "scope": self._scopes,
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": asked.challenge,
            "code_challenge_method": "S256",
        }
        address = discovery.authorization_endpoint
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def sign_out_url(self, after: str) -> str | None:
        """Where a browser signs out at the provider, and comes back to `after` from; None if the
        provider has no such page. Raises ProviderAway."""
        address = (await self._discovery()).end_session_endpoint
        if address is None:
            return None
        query = {"client_id": self._client_id, "post_logout_redirect_uri": after}
        return f"{address}{'&' if '?' in address else '?'}{urlencode(query)}"

    async def claims_for(self, code: str, asked: Asked) -> Mapping[str, Any]:
        """The claims of the ID token for a code. Raises NotProved or ProviderAway."""
        discovery = await self._discovery()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": asked.redirect_uri,
            "code_verifier": asked.verifier,
        }
        form |= self._public()
        answer = await self._ask("POST", discovery.token_endpoint, data=form, **self._secret())
        if answer.status_code >= 500:
            raise ProviderAway(f"token endpoint: {answer.status_code}")
        if answer.status_code != 200:
            raise NotProved("code_refused")
        id_token = _json(answer).get("id_token")
        if not isinstance(id_token, str):
            raise NotProved("no_id_token")
        claims = await self._verified(id_token, self._client_id)
        if claims.get("nonce") != asked.nonce:
            raise NotProved("wrong_nonce")
        # Of a token for several, the one that it was issued to has to be us.
        if claims.get("azp", self._client_id) != self._client_id:
            raise NotProved("issued_to_another")
        return claims

    def _public(self) -> dict[str, str]:
        return {} if self._client_secret else {"client_id": self._client_id}

    def _secret(self) -> dict[str, Any]:
        if not self._client_secret:
            return {}
        # RFC 6749, 2.3.1: both are encoded before they are put together.
        return {"auth": (quote(self._client_id, safe=""), quote(self._client_secret, safe=""))}

    async def claims_of_access_token(self, token: str) -> Mapping[str, Any]:
        """The claims of an access token for our audience. Raises NotProved or ProviderAway."""
        return await self._verified(token, self._audience)

    async def ended(self, logout_token: str) -> AtProvider:
        """Whose sign-in the provider has ended (OpenID Connect Back-Channel Logout 1.0): of one
        session, or of all that he has. Raises NotProved or ProviderAway."""
        claims = await self._verified(logout_token, self._client_id)
        events = claims.get("events")
        # An ID token has a nonce, and ends nothing.
        if not isinstance(events, dict) or _LOGOUT not in events or "nonce" in claims:
            raise NotProved("no_logout_token")
        session = claims.get("sid")
        return AtProvider(claims["sub"], session if isinstance(session, str) else None)

    async def _verified(self, token: str, audience: str) -> dict[str, Any]:
        try:
            header = jws.extract_compact(token.encode()).headers()
            key = await self._key(header.get("kid"))
            claims: dict[str, Any] = jwt.decode(token, key, algorithms=ALGORITHMS).claims
            JWTClaimsRegistry(
                now=int(self._clock.now().timestamp()),
                leeway=CLOCKS_APART_SECONDS,
                iss={"essential": True, "value": self._issuer},
                aud={"essential": True, "value": audience},
                sub={"essential": True},
                exp={"essential": True},
                iat={"essential": True},
            ).validate(claims)
        except (JoseError, ValueError) as error:
            log.info("a token of the provider is not good", error=type(error).__name__)
            raise NotProved("bad_token") from None
        return claims

    async def _key(self, key_id: object) -> Key:
        """The provider's key with that id; without an id, its only one. Raises NotProved."""
        now = self._clock.now()
        asked = self._keys_asked_at
        known = self._named(key_id)
        if asked is None or now - asked > (KEYS_KEPT if known else KEYS_ASKED_EVERY):
            self._keys_asked_at = now
            self._keys = await self._signing_keys()
            known = self._named(key_id)
        if known is None:
            raise NotProved("unknown_key")
        return known

    def _named(self, key_id: object) -> Key | None:
        if key_id is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id) if isinstance(key_id, str) else None

    async def _signing_keys(self) -> _Keys:
        answer = await self._ask("GET", (await self._discovery()).jwks_uri)
        listed = _json(answer).get("keys") if answer.status_code == 200 else None
        if not isinstance(listed, list):
            raise ProviderAway(f"keys: {answer.status_code}")
        found: _Keys = {}
        for each in listed:
            if isinstance(each, dict) and each.get("use", "sig") == "sig":
                try:
                    found[each.get("kid")] = JWKRegistry.import_key(each)
                except (JoseError, ValueError, KeyError):
                    continue  # of a kind that is not known here
        return found

    async def _discovery(self) -> _Discovery:
        now = self._clock.now()
        if self._discovered is None or now - self._discovered[0] > DISCOVERY_KEPT:
            address = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
            answer = await self._ask("GET", address)
            try:
                found = _Discovery.model_validate(_json(answer))
            except ValidationError:
                raise ProviderAway(f"discovery: {answer.status_code}") from None
            if found.issuer != self._issuer:
                raise ProviderAway(f"discovery names the issuer {found.issuer!r}")
            if "S256" not in found.code_challenge_methods_supported:
                raise ProviderAway("no PKCE by S256")
            self._discovered = (now, found)
        return self._discovered[1]

    async def _ask(self, method: str, address: str, **options: Any) -> httpx.Response:
        try:
            return await self._http.request(method, address, **options)
        except httpx.HTTPError as error:
            raise ProviderAway(type(error).__name__) from None


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
