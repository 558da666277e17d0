"""`/sign-in`, `/sign-out`: staff sign in, see where they are signed in, and sign out."""

from typing import Annotated, Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import structlog
from fastapi import APIRouter, Request
from fastapi import Form as FormBody
from starlette.responses import RedirectResponse, Response

from lastmetre.common.security import security_log
from lastmetre.common.security.access import Anyone, SecretLink, allow
from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.common.security.lead_links import LeadLinks
from lastmetre.common.security.origin import refuse_cross_site
from lastmetre.common.security.sign_in import confirm_sign_in
from lastmetre.common.service.clock import Clock
from lastmetre.common.web.forms import FORM_BYTES, LEADS_ON, Form, FormFields, Typed
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.sign_in_at_provider import SignInAtProvider
from lastmetre.intake.application.sign_in_attempts import SignInAttempts
from lastmetre.intake.application.staff_sessions import SignIn, StaffSessions
from lastmetre.intake.domain.attempts import SignInWay
from lastmetre.intake.domain.identity_provider import NotProved, ProviderAway
from lastmetre.intake.domain.return_address import ReturnAddresses
from lastmetre.intake.domain.staff_roles import NoRole
from lastmetre.intake.domain.staff_sessions import SignedInBy, StaffSession
from lastmetre.intake.entrypoints.api.sign_in import provider_away, trying
from lastmetre.intake.entrypoints.web.session_cookies import (
    asked_in,
    drop_session,
    keep_access,
    keep_asked,
    keep_session,
    secret_in,
)

log = structlog.get_logger()

_HERE: Final = "/sign-in"
_SIGNED_OUT: Final = "/sign-in/signed-out"


class RenewFields(FormFields):
    """Whether somebody has used the browser since the last time: then the session's end slides."""

    used: Typed = "yes"


class RoleFields(FormFields):
    """The role that he acts in where several of his may."""

    role: Typed = ""


class RevokeFields(FormFields):
    """A session that is to end."""

    session: Typed = ""


class SignInUses(NamedTuple):
    """What the pages ask for. Without a provider nobody signs in there. `clock` is a real one:
    links do not live in a time-lapse."""

    sessions: StaffSessions
    at_provider: SignInAtProvider | None
    with_passwords: bool
    lead_links: LeadLinks
    attempts: SignInAttempts
    clock: Clock


class SignInPages:
    """Signing in leads on to the page that somebody came from, else to his account's page."""

    def __init__(self, pages: Pages, addresses: ReturnAddresses, uses: SignInUses) -> None:
        self._pages = pages
        self._addresses = addresses
        self._sessions = uses.sessions
        self._at_provider = uses.at_provider
        self._with_passwords = uses.with_passwords
        self._lead_links = uses.lead_links
        self._attempts = uses.attempts
        self._clock = uses.clock

    async def enter(self, request: Request, leads_to: str | None) -> Response:
        """On to `leads_to` with a new access token, if the session goes on; else a sign-in."""
        onward = self._addresses.checked(leads_to)
        renewed = await self._sessions.renew(secret_in(request))
        if renewed is not None:
            response = (
                RedirectResponse(onward, 303)
                if onward
                else await self._account(request, renewed.session)
            )
            keep_access(request, response, renewed)
            return response
        return await self.begin(request, onward)

    async def begin(self, request: Request, onward: str | None) -> Response:
        """To the provider, or the form where passwords are good."""
        if self._with_passwords:
            return self.ask_password(request, Form({"leads_to": onward or ""}))
        return await self.to_provider(request, onward)

    def ask_password(self, request: Request, form: Form, status: int = 200) -> Response:
        """The form for name, password and code."""
        onward = self._addresses.checked(form.value("leads_to")) or ""
        form.values["leads_to"] = onward
        query = urlencode({"next": onward})
        context = {
            "form": form,
            "refused": status == 403,
            "later": status == 429,
            "provider_url": f"/sign-in/provider?{query}" if self._at_provider else None,
        }
        return self._pages.render(request, "sign_in.html", context, status)

    def ask_change(self, request: Request, form: Form, status: int = 200) -> Response:
        """The form for another password."""
        context = {"form": form, "later": status == 429}
        return self._pages.render(request, "change_password.html", context, status)

    async def session_with_password(self, request: Request) -> StaffSession | None:
        """The session of this browser, if it began with a password."""
        session = await self._sessions.find(secret_in(request))
        by_password = session is not None and session.signed_in_by is SignedInBy.PASSWORD
        return session if by_password else None

    async def end_others(self, request: Request, session: StaffSession) -> Response:
        """End his other sessions that began with a password; this one begins anew."""
        for each in await self._sessions.of(session.staff):
            if each.signed_in_by is SignedInBy.PASSWORD:
                await self._sessions.revoke(session.staff, each.session_id)
        again = SignIn(session.staff, SignedInBy.PASSWORD, session.browser)
        return await self.signed_in(request, again, None)

    async def to_provider(self, request: Request, onward: str | None) -> Response:
        """To the provider. Raises Problem 404 without one, 503 where it is away."""
        if self._at_provider is None:
            raise Problem(
                404,
                "/problems/no-sign-in",
                N_("There is nothing here"),
                N_("No identity provider is set up."),
            )
        try:
            asked, address = await self._at_provider.ask(onward or _HERE)
        except ProviderAway as error:
            raise provider_away(error) from None
        response = RedirectResponse(address, 303)
        keep_asked(request, response, asked)
        return response

    def checked(self, leads_to: str | None) -> str | None:
        """`leads_to`, if it is one of our own pages."""
        return self._addresses.checked(leads_to)

    async def come_back(self, request: Request) -> Response:
        """From the provider, with a code or a refusal."""
        if self._at_provider is None:
            raise Problem(404, "about:blank", N_("There is nothing here"))
        asked = asked_in(request)
        browser = request.headers.get("user-agent", "")
        try:
            async with trying(request, self._attempts, SignInWay.CALLBACK):
                sign_in = await self._at_provider.answer(request.query_params, asked, browser)
        except NotProved as error:
            security_log.refused(request, 403, None, f"sign_in_{error.why}")
            raise Problem(
                403,
                "/problems/sign-in-failed",
                N_("Signing in did not work"),
                N_("Please sign in again. If it happens again, ask your administrator."),
            ) from None
        except NoRole as error:
            security_log.refused(request, 403, None, f"sign_in_{error.why}")
            raise Problem(
                403,
                "/problems/no-role",
                N_("You have no role here"),
                N_("You are known to the city, but this system is not open to you."),
            ) from None
        return await self.signed_in(request, sign_in, asked.leads_to if asked else None)

    async def signed_in(self, request: Request, sign_in: SignIn, leads_to: str | None) -> Response:
        """With a new session, on to where he was going."""
        begun = await self._sessions.begin(sign_in, instead_of=secret_in(request))
        security_log.signed_in(request, _who(begun.renewed.session), sign_in.by)
        response = RedirectResponse(self._addresses.checked(leads_to) or _HERE, 303)
        keep_session(request, response, begun)
        return response

    async def by_link(self, request: Request, secret: str, leads_to: str | None) -> Response:
        """A lead's device, by the link in a message to him. Raises Problem 404, 429, and 403 where
        another site led here."""
        lead_id = await self._lead_of(request, secret)
        lead = StaffMember(lead_id, (Role.LEAD,), lead_id)
        await confirm_sign_in(request, f"{Role.LEAD.value}:{lead_id}")
        known = await self._sessions.find(secret_in(request))
        if known is not None and known.staff == lead:
            return await self.enter(request, leads_to)
        browser = request.headers.get("user-agent", "")
        return await self.signed_in(request, SignIn(lead, SignedInBy.LINK, browser), leads_to)

    async def _lead_of(self, request: Request, secret: str) -> str:
        async with trying(request, self._attempts, SignInWay.LINK):
            if (lead_id := self._lead_links.open(secret, self._clock.now())) is not None:
                return lead_id
            raise Problem(
                404,
                "/problems/unknown-link",
                N_("This link is not good any more"),
                N_("Please open the link in the newest message that we sent you."),
            )

    async def renew(self, request: Request, fields: RenewFields) -> Response:
        """A new access token for a page that stays open. Raises Problem 401."""
        refuse_cross_site(request)
        renewed = await self._sessions.renew(secret_in(request), in_use=fields.used == "yes")
        if renewed is None:
            raise _signed_out()
        response = Response(status_code=204)
        keep_access(request, response, renewed)
        return response

    async def choose_role(self, request: Request, fields: RoleFields) -> Response:
        """Act in another of his roles from now on. Raises Problem 401, 422."""
        refuse_cross_site(request)
        try:
            renewed = await self._sessions.renew(secret_in(request), first_as=Role(fields.role))
        except ValueError:
            raise Problem(422, "/problems/no-such-role", N_("You have no such role")) from None
        if renewed is None:
            raise _signed_out()
        response = RedirectResponse(_HERE, 303)
        keep_access(request, response, renewed)
        return response

    async def revoke(self, request: Request, fields: RevokeFields) -> Response:
        """End one of his sessions. Raises Problem 401, 404."""
        refuse_cross_site(request)
        session = await self._sessions.find(secret_in(request))
        if session is None:
            raise _signed_out()
        try:
            ended = await self._sessions.revoke(session.staff, UUID(fields.session))
        except ValueError:
            ended = False
        if not ended:
            raise Problem(404, "about:blank", N_("There is nothing here"))
        security_log.signed_out(request, _who(session), "revoked")
        return RedirectResponse(_HERE, 303)

    async def sign_out(self, request: Request) -> Response:
        """End the session of this browser."""
        refuse_cross_site(request)
        session = await self._sessions.end(secret_in(request))
        if session is not None:
            security_log.signed_out(request, _who(session), "signed_out")
        response = RedirectResponse(_SIGNED_OUT, 303)
        drop_session(request, response)
        return response

    async def signed_out(self, request: Request) -> Response:
        """What somebody sees who has signed out."""
        elsewhere = None
        if self._at_provider is not None:
            try:
                elsewhere = await self._at_provider.sign_out_url()
            except ProviderAway as error:
                log.warning("the identity provider is away", error=str(error))
        return self._pages.render(request, "signed_out.html", {"elsewhere": elsewhere})

    async def _account(self, request: Request, session: StaffSession) -> Response:
        context = {
            "now": session.used_at,
            "session": session,
            "has_password": session.signed_in_by is SignedInBy.PASSWORD,
            "role": session.staff.roles[0].value,
            "sessions": await self._sessions.of(session.staff),
        }
        return self._pages.render(request, "account.html", context)


def _who(session: StaffSession) -> str:
    return ", ".join(f"{role.value}:{session.staff.subject}" for role in session.staff.roles)


def _signed_out() -> Problem:
    return Problem(401, "/problems/not-signed-in", N_("Please sign in"))


def sign_in_router(pages: SignInPages) -> APIRouter:
    """The routes. Each looks at the session's cookie by itself, which nothing else opens."""
    router = page_router()
    open_to_all = allow(Anyone())

    @router.get("/sign-in", dependencies=open_to_all, responses=LEADS_ON)
    async def sign_in(request: Request, next: str | None = None) -> Response:
        """Leads on to `next`, after a sign-in if need be; without it shows the account."""
        return await pages.enter(request, next)

    @router.get("/sign-in/provider", dependencies=open_to_all, **REDIRECTS)
    async def sign_in_at_provider(request: Request, next: str | None = None) -> Response:
        """To the identity provider, where passwords are good as well."""
        return await pages.to_provider(request, pages.checked(next))

    @router.get("/sign-in/callback", dependencies=open_to_all, **REDIRECTS)
    async def come_back_from_provider(request: Request) -> Response:
        """Where the identity provider sends browsers back to."""
        return await pages.come_back(request)

    @router.get("/sign-in/link/{secret}", dependencies=allow(SecretLink()), **REDIRECTS)
    async def sign_in_by_link(request: Request, secret: str, next: str | None = None) -> Response:
        """The link in a lead's message: his device stays signed in for ninety days."""
        return await pages.by_link(request, secret, next)

    @router.post(
        "/sign-in/renew", dependencies=open_to_all, max_body_size=FORM_BYTES, status_code=204
    )
    async def renew_access(
        request: Request, fields: Annotated[RenewFields, FormBody()]
    ) -> Response:
        """A new access token in the browser's cookie, for a page that stays open."""
        return await pages.renew(request, fields)

    @router.post("/sign-in/role", dependencies=open_to_all, max_body_size=FORM_BYTES, **REDIRECTS)
    async def choose_role(request: Request, fields: Annotated[RoleFields, FormBody()]) -> Response:
        """Act in another of one's roles from now on."""
        return await pages.choose_role(request, fields)

    @router.post("/sign-in/revoke", dependencies=open_to_all, max_body_size=FORM_BYTES, **REDIRECTS)
    async def revoke_session(
        request: Request, fields: Annotated[RevokeFields, FormBody()]
    ) -> Response:
        """End one of one's own sessions, on another browser perhaps."""
        return await pages.revoke(request, fields)

    @router.post("/sign-out", dependencies=open_to_all, **REDIRECTS)
    async def sign_out(request: Request) -> Response:
        """End the session of this browser."""
        return await pages.sign_out(request)

    @router.get("/sign-in/signed-out", dependencies=open_to_all)
    async def signed_out(request: Request) -> Response:
        """Says that one is signed out here, and where one is not yet."""
        return await pages.signed_out(request)

    return router
