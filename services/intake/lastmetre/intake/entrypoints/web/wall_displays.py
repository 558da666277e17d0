"""`/sign-in/displays`: screens on walls, registered by the centre; `/sign-in/display`: on those."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi import Form as FormBody
from pydantic import TypeAdapter, ValidationError
from starlette.responses import RedirectResponse, Response

from lastmetre.common.contracts.base import Code
from lastmetre.common.security import security_log
from lastmetre.common.security.access import Anyone, SecretLink, allow
from lastmetre.common.security.callers import CENTRE
from lastmetre.common.security.origin import refuse_cross_site
from lastmetre.common.text import one_line
from lastmetre.common.web.forms import FORM_BYTES, LEADS_ON, REDISPLAYED, Form, FormFields, Typed
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.sign_in_attempts import SignInAttempts
from lastmetre.intake.application.staff_sessions import StaffSessions
from lastmetre.intake.application.wall_displays import DisplayExists, WallDisplays
from lastmetre.intake.domain.attempts import SignInWay
from lastmetre.intake.domain.staff_sessions import DISPLAY_LINK_LIFETIME, SignedInBy, StaffSession
from lastmetre.intake.entrypoints.api.sign_in import trying
from lastmetre.intake.entrypoints.web.session_cookies import keep_session, secret_in
from lastmetre.intake.entrypoints.web.sign_in import RevokeFields

_HERE: Final = "/sign-in/displays"
_NAME: Final[TypeAdapter[str]] = TypeAdapter(Code)


class DisplayFields(FormFields):
    """What a screen is called: where it hangs."""

    name: Typed = ""


class WallDisplayPages:
    """Whoever sees all cases may register a screen, see all of them, and sign them out: they are
    the city's, and nobody's own. `base_url` is what links to the sign-in begin with."""

    def __init__(
        self,
        pages: Pages,
        sessions: StaffSessions,
        displays: WallDisplays,
        attempts: SignInAttempts,
        base_url: str,
    ) -> None:
        self._pages = pages
        self._sessions = sessions
        self._displays = displays
        self._attempts = attempts
        self._base_url = base_url

    async def show(self, request: Request) -> Response:
        """All screens, and the form for another one. Raises Problem 403."""
        session = await self._sessions.find(secret_in(request))
        if session is None:
            return RedirectResponse(f"/sign-in?next={_HERE}", 303)
        return await self._page(request, _of_the_centre(request, session), Form())

    async def register(self, request: Request, fields: DisplayFields) -> Response:
        """A link for a new screen, shown once. Raises Problem 401, 403."""
        session = await self._asked_by(request)
        form = Form.of(fields)
        if form.value("redisplay"):
            return await self._page(request, session, form)
        name = form.values["name"] = one_line(form.value("name")).strip()
        try:
            secret = await self._displays.register(
                _NAME.validate_python(name), session.staff.subject
            )
        except ValidationError:
            form.fail("name", N_("Please say where the screen is, in up to 120 characters"))
            return await self._page(request, session, form, 422)
        except DisplayExists:
            form.fail("name", N_("There is a screen of that name: sign it out first"))
            return await self._page(request, session, form, 422)
        security_log.display_registered(request, session.staff.subject, name)
        link = f"{self._base_url}/sign-in/display/{secret}"
        return await self._page(request, session, Form(), link=link, registered=name)

    async def revoke(self, request: Request, fields: RevokeFields) -> Response:
        """Sign a screen out. Raises Problem 401, 403, 404."""
        await self._asked_by(request)
        try:
            ended = await self._displays.revoke(UUID(fields.session))
        except ValueError:
            ended = None
        if ended is None:
            raise Problem(404, "about:blank", N_("There is nothing here"))
        security_log.signed_out(request, _actor(ended), "revoked")
        return RedirectResponse(_HERE, 303)

    async def ask_screen(self, request: Request, secret: str) -> Response:
        """On the screen: what it will be. Programs that look at links open nothing by that. Raises
        Problem 404, 429."""
        display = await self._behind(request, secret)
        known = await self._sessions.find(secret_in(request))
        context = {"display": display, "instead_of": known and known.staff.subject}
        return self._pages.render(request, "wall_display.html", context)

    async def open_screen(self, request: Request, secret: str) -> Response:
        """Signs the screen in, and leads to the board. Raises Problem 404, 429."""
        refuse_cross_site(request)
        await self._behind(request, secret)
        browser = request.headers.get("user-agent", "")
        begun = await self._displays.open(secret, browser, secret_in(request))
        if begun is None:
            raise _link_is_over()
        security_log.signed_in(request, _actor(begun.renewed.session), SignedInBy.DISPLAY)
        response = RedirectResponse(self._pages.service_url("metrics", "/board/wall"), 303)
        keep_session(request, response, begun)
        return response

    async def _behind(self, request: Request, secret: str) -> StaffSession:
        async with trying(request, self._attempts, SignInWay.DISPLAY):
            if (display := await self._displays.behind_link(secret)) is not None:
                return display
            raise _link_is_over()

    async def _asked_by(self, request: Request) -> StaffSession:
        refuse_cross_site(request)
        session = await self._sessions.find(secret_in(request))
        if session is None:
            raise Problem(401, "/problems/not-signed-in", N_("Please sign in"))
        return _of_the_centre(request, session)

    async def _page(
        self, request: Request, session: StaffSession, form: Form, status: int = 200, **more: Any
    ) -> Response:
        context = {
            "form": form,
            "role": next(each.value for each in session.staff.roles if each in CENTRE),
            "displays": await self._displays.all(),
            "now": session.used_at,
            "minutes": int(DISPLAY_LINK_LIFETIME.total_seconds() // 60),
            "link": None,
            "registered": None,
        }
        response = self._pages.render(request, "wall_displays.html", context | more, status)
        response.headers["Cache-Control"] = "no-store"
        return response


def _of_the_centre(request: Request, session: StaffSession) -> StaffSession:
    if not any(role in CENTRE for role in session.staff.roles):
        security_log.refused(request, 403, None, "not_allowed")
        raise Problem(
            403,
            "/problems/not-allowed",
            N_("This is not open to you"),
            N_("You are known here, but this is for others."),
        )
    return session


def _actor(display: StaffSession) -> str:
    return f"{SignedInBy.DISPLAY}:{display.staff.subject}"


def _link_is_over() -> Problem:
    return Problem(
        404,
        "/problems/unknown-link",
        N_("This link is not good any more"),
        N_("It is good once, and not for long. Please have another one made."),
    )


def wall_display_router(pages: WallDisplayPages) -> APIRouter:
    """The routes. Those of the centre look at the session's cookie by themselves."""
    router = page_router()

    @router.get("/sign-in/displays", dependencies=allow(Anyone()), responses=LEADS_ON)
    async def displays(request: Request) -> Response:
        """Screens that are signed in, for staff of the centre."""
        return await pages.show(request)

    @router.post(
        "/sign-in/displays",
        dependencies=allow(Anyone()),
        max_body_size=FORM_BYTES,
        responses=REDISPLAYED,
    )
    async def register_display(
        request: Request, fields: Annotated[DisplayFields, FormBody()]
    ) -> Response:
        """Makes a link for another screen, good once and for a quarter of an hour."""
        return await pages.register(request, fields)

    @router.post(
        "/sign-in/displays/revoke",
        dependencies=allow(Anyone()),
        max_body_size=FORM_BYTES,
        **REDIRECTS,
    )
    async def revoke_display(
        request: Request, fields: Annotated[RevokeFields, FormBody()]
    ) -> Response:
        """Signs a screen out."""
        return await pages.revoke(request, fields)

    @router.get("/sign-in/display/{secret}", dependencies=allow(SecretLink()))
    async def ask_screen(request: Request, secret: str) -> Response:
        """Opened on the screen: says what it will be, and asks."""
        return await pages.ask_screen(request, secret)

    @router.post("/sign-in/display/{secret}", dependencies=allow(SecretLink()), **REDIRECTS)
    async def open_screen(request: Request, secret: str) -> Response:
        """Signs the screen in, with the right to the board alone."""
        return await pages.open_screen(request, secret)

    return router
