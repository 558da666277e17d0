"""`/sign-in/password`, `/sign-in/change-password`: for cities without an identity provider."""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi import Form as FormBody
from starlette.responses import RedirectResponse, Response

from lastmetre.common.security import security_log
from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.security.origin import refuse_cross_site
from lastmetre.common.web.forms import LEADS_ON, TAKES_FORM, Form, FormFields, Typed
from lastmetre.common.web.openapi import page_router
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.sign_in_by_password import CannotBePassword, SignInByPassword
from lastmetre.intake.application.staff_sessions import SignIn
from lastmetre.intake.domain.attempts import TooManyAttempts
from lastmetre.intake.domain.identity_provider import NotProved
from lastmetre.intake.domain.staff_sessions import SignedInBy
from lastmetre.intake.domain.staff_users import SHORTEST_PASSWORD
from lastmetre.intake.entrypoints.clients import client_in
from lastmetre.intake.entrypoints.web.sign_in import SignInPages

_RETRY_AFTER_SECONDS: Final = "900"
_WHY_NOT: Final = {
    "short": N_("At least %(least)s characters, please"),
    "long": N_("That is too long"),
    "name": N_("Not with your name or ours in it, please"),
    "simple": N_("That is too simple"),
}


class PasswordFields(FormFields):
    """A name, a password and the code of an authenticator; where it leads on to."""

    subject: Typed = ""
    password: Typed = ""
    code: Typed = ""
    leads_to: Typed = ""


class ChangeFields(FormFields):
    """The password of now, and another one twice."""

    password: Typed = ""
    chosen: Typed = ""
    again: Typed = ""


class PasswordPages:
    """Whoever fails is not told at what."""

    def __init__(self, sign_in: SignInPages, by_password: SignInByPassword | None) -> None:
        self._sign_in = sign_in
        self._by_password = by_password

    async def take(self, request: Request, fields: PasswordFields) -> Response:
        """Sign in with what was typed, or show the form again."""
        refuse_cross_site(request)
        form = _without_secrets(Form.of(fields))
        by_password = self._at_hand()
        if form.value("redisplay"):
            return self._sign_in.ask_password(request, form)
        form.require("subject", N_("Please type your name"))
        if not fields.password:
            form.fail("password", N_("Please type your password"))
        if not fields.code:
            form.fail("code", N_("Please type the code that your authenticator shows"))
        if form.errors:
            return self._sign_in.ask_password(request, form, 422)
        client = client_in(request)
        code = fields.code.replace(" ", "")
        try:
            staff = await by_password(client, fields.subject, fields.password, code)
        except TooManyAttempts as error:
            security_log.refused(request, 429, None, f"sign_in_{error.passed.kind}")
            return self._later(self._sign_in.ask_password(request, form, 429))
        except NotProved as error:
            security_log.refused(request, 403, None, f"sign_in_{error.why}")
            return self._sign_in.ask_password(request, form, 403)
        browser = request.headers.get("user-agent", "")
        sign_in = SignIn(staff, SignedInBy.PASSWORD, browser)
        return await self._sign_in.signed_in(request, sign_in, fields.leads_to)

    async def show_change(self, request: Request) -> Response:
        """The form for another password; without a session to the sign-in."""
        if await self._sign_in.session_with_password(request) is None:
            return RedirectResponse("/sign-in", 303)
        return self._sign_in.ask_change(request, Form())

    async def change(self, request: Request, fields: ChangeFields) -> Response:
        """Another password; his other sessions end. Raises Problem 401."""
        refuse_cross_site(request)
        by_password = self._at_hand()
        session = await self._sign_in.session_with_password(request)
        if session is None:
            raise Problem(401, "/problems/not-signed-in", N_("Please sign in"))
        form = _without_secrets(Form.of(fields))
        if form.value("redisplay"):
            return self._sign_in.ask_change(request, form)
        if not fields.password:
            form.fail("password", N_("Please type your password"))
        if fields.chosen != fields.again:
            form.fail("again", N_("The two are not the same"))
        if form.errors:
            return self._sign_in.ask_change(request, form, 422)
        client = client_in(request)
        subject = session.staff.subject
        try:
            await by_password.change(client, subject, fields.password, fields.chosen)
        except TooManyAttempts:
            return self._later(self._sign_in.ask_change(request, form, 429))
        except NotProved as error:
            security_log.refused(request, 403, None, f"change_{error.why}")
            form.fail("password", N_("That is not your password"))
            return self._sign_in.ask_change(request, form, 422)
        except CannotBePassword as error:
            form.fail("chosen", _WHY_NOT[error.why], least=SHORTEST_PASSWORD)
            return self._sign_in.ask_change(request, form, 422)
        security_log.signed_out(request, subject, "password_changed")
        return await self._sign_in.end_others(request, session)

    def _at_hand(self) -> SignInByPassword:
        if self._by_password is None:
            raise Problem(404, "about:blank", N_("There is nothing here"))
        return self._by_password

    def _later(self, response: Response) -> Response:
        response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
        return response


def _without_secrets(form: Form) -> Form:
    """They stand in no page."""
    for name in ("password", "code", "chosen", "again"):
        form.values.pop(name, None)
    return form


def password_router(pages: PasswordPages) -> APIRouter:
    """The routes; without passwords they answer 404."""
    router = page_router()

    @router.post("/sign-in/password", dependencies=allow(Anyone()), **TAKES_FORM)
    async def sign_in_by_password(
        request: Request, fields: Annotated[PasswordFields, FormBody()]
    ) -> Response:
        """Signs in, and leads on."""
        return await pages.take(request, fields)

    @router.get("/sign-in/change-password", dependencies=allow(Anyone()), responses=LEADS_ON)
    async def change_password_form(request: Request) -> Response:
        """The form for another password."""
        return await pages.show_change(request)

    @router.post("/sign-in/change-password", dependencies=allow(Anyone()), **TAKES_FORM)
    async def change_password(
        request: Request, fields: Annotated[ChangeFields, FormBody()]
    ) -> Response:
        """Puts another password in the place of one's own."""
        return await pages.change(request, fields)

    return router
