"""Signing in at the city's identity provider: who it is that has come back from there."""

import hmac
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple

from lastmetre.common.security.access_tokens import AccessTokenSigner
from lastmetre.common.security.callers import StaffMember
from lastmetre.common.service.clock import Clock
from lastmetre.intake.adapters.openid_provider import OpenIdProvider
from lastmetre.intake.application.staff_sessions import SignIn
from lastmetre.intake.domain.identity_provider import Asked, NotProved
from lastmetre.intake.domain.staff_roles import RoleMapping
from lastmetre.intake.domain.staff_sessions import AtProvider, SignedInBy


class SignInAtProvider:
    """By authorization code with PKCE. Browsers come back to pages below `base_url`; `new_secret`
    draws at least 128 random bits."""

    def __init__(
        self,
        provider: OpenIdProvider,
        mapping: RoleMapping,
        base_url: str,
        new_secret: Callable[[], str],
    ) -> None:
        self._provider = provider
        self._mapping = mapping
        self._base_url = base_url.rstrip("/")
        self._new_secret = new_secret

    async def ask(self, leads_to: str) -> tuple[Asked, str]:
        """A new sign-in that leads on to `leads_to`, and where the browser goes for it."""
        redirect_uri = f"{self._base_url}/sign-in/callback"
        state, nonce, verifier = (self._new_secret() for _ in range(3))
        asked = Asked(state, nonce, verifier, redirect_uri, leads_to)
        return asked, await self._provider.authorization_url(asked)

    async def answer(self, query: Mapping[str, str], asked: Asked | None, browser: str) -> SignIn:
        """Who has come back from the provider with `query`.

        Raises NotProved, NoRole for somebody who has no role here, ProviderAway.
        """
        state = query.get("state", "")
        if asked is None or not hmac.compare_digest(state.encode(), asked.state.encode()):
            raise NotProved("another_state")
        if query.get("iss", self._provider.issuer) != self._provider.issuer:  # RFC 9207
            raise NotProved("wrong_issuer")
        if "code" not in query:
            raise NotProved("refused_there")
        claims = await self._provider.claims_for(query["code"], asked)
        session = claims.get("sid")
        return SignIn(
            self._mapping.staff_member(claims),
            SignedInBy.PROVIDER,
            browser,
            AtProvider(claims["sub"], session if isinstance(session, str) else None),
        )

    async def sign_out_url(self) -> str | None:
        """Where a browser signs out at the provider, too. Raises ProviderAway."""
        return await self._provider.sign_out_url(f"{self._base_url}/sign-in/signed-out")

    async def ended(self, logout_token: str) -> AtProvider:
        """Whose sign-in the provider says is over. Raises NotProved, ProviderAway."""
        return await self._provider.ended(logout_token)


class ExchangedToken(NamedTuple):
    """Our access token for one of the provider's, and how long it is good."""

    staff: StaffMember
    access_token: str
    seconds: int


class ExchangeToken:
    """For a partner's system: the provider's access token (client credentials) for one of ours
    (RFC 8693). So intake alone has to know the provider. `clock` is the real one."""

    def __init__(
        self,
        provider: OpenIdProvider,
        mapping: RoleMapping,
        signer: AccessTokenSigner,
        clock: Clock,
        lifetime: timedelta,
    ) -> None:
        self._provider = provider
        self._mapping = mapping
        self._signer = signer
        self._clock = clock
        self._lifetime = lifetime

    async def __call__(self, token: str) -> ExchangedToken:
        """One that ends no later than the provider's. Raises NotProved, NoRole, ProviderAway."""
        claims = await self._provider.claims_of_access_token(token)
        staff = self._mapping.staff_member(claims)
        now = self._clock.now()
        left = timedelta(seconds=int(claims["exp"]) - int(now.timestamp()))
        if left <= timedelta(0):  # within what clocks may be apart
            raise NotProved("bad_token")
        lifetime = min(self._lifetime, left)
        signed = self._signer.sign(staff, now, lifetime)
        return ExchangedToken(staff, signed, int(lifetime.total_seconds()))
