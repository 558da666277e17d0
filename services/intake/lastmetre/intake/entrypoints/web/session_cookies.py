"""The cookies of somebody who signs in or has signed in."""

from typing import Final

from fastapi import Request
from starlette.responses import Response

from lastmetre.common.security.access import PAGES_OF
from lastmetre.common.security.callers import ACCESS_COOKIE, FRESH_COOKIE, SESSION_COOKIE
from lastmetre.common.security.staff_cookies import access_cookie, forget_links
from lastmetre.common.web.cookies import by_tls, cookie_name
from lastmetre.intake.application.staff_sessions import Begun, Renewed
from lastmetre.intake.domain.identity_provider import Asked

_ASKED: Final = "lastmetre_sign_in"
_ASKED_SECONDS: Final = 600
_RENEWED_BEFORE_SECONDS: Final = 120
_EVERY_PAGE: Final = frozenset().union(*PAGES_OF.values())


def secret_in(request: Request) -> str:
    """The secret of the session that this browser has; empty without one."""
    return request.cookies.get(cookie_name(request, SESSION_COOKIE), "")


def keep_session(request: Request, response: Response, begun: Begun) -> None:
    """Have the browser keep a new session; what links left there counts no more."""
    session = begun.renewed.session
    seconds = int((session.ends_at - session.begun_at).total_seconds())
    _keep(request, response, SESSION_COOKIE, begun.secret, seconds)
    forget_links(request, response, _EVERY_PAGE)
    keep_access(request, response, begun.renewed)


def keep_access(request: Request, response: Response, renewed: Renewed) -> None:
    """Have the browser keep a new access token, as long as it is good."""
    response.set_cookie(
        access_cookie(request),
        renewed.access_token,
        path="/",
        max_age=renewed.access_seconds,
        httponly=True,
        samesite="lax",
        secure=by_tls(request),
    )
    # Pages look at this one: where it is gone, it is time to ask for a new token (js/renew.js).
    response.set_cookie(
        cookie_name(request, FRESH_COOKIE),
        "yes",
        path="/",
        max_age=max(renewed.access_seconds - _RENEWED_BEFORE_SECONDS, 1),
        samesite="lax",
        secure=by_tls(request),
    )
    response.headers["Cache-Control"] = "no-store"


def drop_session(request: Request, response: Response) -> None:
    """Have the browser forget who has signed in."""
    for name in (SESSION_COOKIE, ACCESS_COOKIE, FRESH_COOKIE):
        response.delete_cookie(
            cookie_name(request, name), path="/", secure=by_tls(request), samesite="lax"
        )
    forget_links(request, response, _EVERY_PAGE)
    response.headers["Cache-Control"] = "no-store"


def asked_in(request: Request) -> Asked | None:
    """The sign-in at the provider that this browser has begun."""
    return Asked.read(request.cookies.get(cookie_name(request, _ASKED)))


def keep_asked(request: Request, response: Response, asked: Asked) -> None:
    """Have the browser keep a sign-in that goes on at the provider."""
    _keep(request, response, _ASKED, asked.text(), _ASKED_SECONDS)


def _keep(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        cookie_name(request, name),
        value,
        path="/",
        max_age=seconds,
        httponly=True,
        samesite="lax",
        secure=by_tls(request),
    )
    response.headers["Cache-Control"] = "no-store"
