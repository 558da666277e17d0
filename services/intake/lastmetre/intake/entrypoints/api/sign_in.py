"""What programs ask of the sign-in: partners' systems for access tokens, the identity provider
for the end of somebody's sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Literal, NamedTuple

import structlog
from fastapi import APIRouter, Form, Request, Response
from pydantic import BaseModel, ConfigDict

from lastmetre.common.security import security_log
from lastmetre.common.security.access import Anyone, GuardedRoute, allow
from lastmetre.common.web.forms import FORM_BYTES
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.sign_in_at_provider import ExchangeToken, SignInAtProvider
from lastmetre.intake.application.sign_in_attempts import SignInAttempts
from lastmetre.intake.application.staff_sessions import StaffSessions
from lastmetre.intake.domain.attempts import SignInWay, TooManyAttempts
from lastmetre.intake.domain.identity_provider import NotProved, ProviderAway
from lastmetre.intake.domain.staff_roles import NoRole
from lastmetre.intake.entrypoints.clients import client_in

log = structlog.get_logger()

_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type's name


class TokenExchange(BaseModel):
    """RFC 8693, section 2.1."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    grant_type: Literal["urn:ietf:params:oauth:grant-type:token-exchange"]
    subject_token: str
    subject_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"]


class AccessTokenAnswer(BaseModel):
    """RFC 8693, section 2.2. `expires_in` is in seconds."""

    access_token: str
    issued_token_type: str = _ACCESS_TOKEN
    token_type: str = "Bearer"  # noqa: S105 - a type's name
    expires_in: int


class LogoutNotice(BaseModel):
    """OpenID Connect Back-Channel Logout 1.0, section 2.5."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    logout_token: str


class AtProviderUses(NamedTuple):
    """What is asked where there is an identity provider."""

    sign_in: SignInAtProvider
    exchange: ExchangeToken


def sign_in_api_router(
    sessions: StaffSessions, uses: AtProviderUses | None, attempts: SignInAttempts
) -> APIRouter:
    """The routes; without a provider they answer 404."""
    router = APIRouter(route_class=GuardedRoute, tags=["sign-in"])

    def at_provider() -> AtProviderUses:
        if uses is None:
            raise Problem(404, "/problems/no-sign-in", N_("There is nothing here"))
        return uses

    @router.post("/sign-in/token", dependencies=allow(Anyone()), max_body_size=FORM_BYTES)
    async def exchange_token(
        request: Request, response: Response, asked: Annotated[TokenExchange, Form()]
    ) -> AccessTokenAnswer:
        """The identity provider's access token, as a partner's system gets it by its client
        credentials, for one that every service of ours knows. Send that as `Authorization: Bearer`
        until it ends, then exchange again."""
        try:
            provider = at_provider()
            async with trying(request, attempts, SignInWay.EXCHANGE):
                exchanged = await provider.exchange(asked.subject_token)
        except (NotProved, NoRole) as error:
            security_log.refused(request, 401, None, f"exchange_{error.why}")
            raise Problem(
                401,
                "/problems/token-not-accepted",
                N_("This token is not accepted"),
                N_("It is not good, or opens nothing here."),
                headers={"WWW-Authenticate": "Bearer"},
            ) from None
        staff = exchanged.staff
        who = ", ".join(f"{role.value}:{staff.subject}" for role in staff.roles)
        security_log.signed_in(request, who, "exchanged")
        response.headers["Cache-Control"] = "no-store"
        return AccessTokenAnswer(access_token=exchanged.access_token, expires_in=exchanged.seconds)

    @router.post("/sign-in/ended", dependencies=allow(Anyone()), max_body_size=FORM_BYTES)
    async def end_at_provider(
        request: Request, response: Response, notice: Annotated[LogoutNotice, Form()]
    ) -> None:
        """The identity provider says that somebody has signed out there, or was disabled
        (back-channel logout): his sessions end here, too."""
        response.headers["Cache-Control"] = "no-store"
        try:
            provider = at_provider()
            async with trying(request, attempts, SignInWay.ENDED):
                ended = await provider.sign_in.ended(notice.logout_token)
        except NotProved as error:
            security_log.refused(request, 400, None, f"logout_{error.why}")
            raise Problem(
                400, "/problems/token-not-accepted", N_("This token is not accepted")
            ) from None
        sessions_ended = await sessions.end_at_provider(ended)
        security_log.signed_out(request, f"{sessions_ended} sessions", "ended_at_provider")

    return router


@asynccontextmanager
async def trying(request: Request, attempts: SignInAttempts, way: SignInWay) -> AsyncIterator[None]:
    """Around a try to sign in. Raises Problem 429 before it where its client has failed too often,
    503 where the provider is away."""
    try:
        async with attempts.trying(way, client_in(request)):
            yield
    except TooManyAttempts as error:
        security_log.refused(request, 429, None, f"sign_in_{error.passed.kind}")
        raise Problem(
            429,
            "/problems/too-many-tries",
            N_("Too many tries"),
            N_("Please try again in a quarter of an hour, or ask your administrator."),
            headers={"Retry-After": str(int(error.passed.window.total_seconds()))},
        ) from None
    except ProviderAway as error:
        raise provider_away(error) from None


def provider_away(error: ProviderAway) -> Problem:
    """Nobody can sign in for a moment."""
    log.warning("the identity provider is away", error=str(error))
    return Problem(
        503,
        "/problems/provider-away",
        N_("Nobody can sign in for a moment"),
        N_("The city's identity provider does not answer."),
        headers={"Retry-After": "5"},
    )
