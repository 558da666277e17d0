"""Where browsers are led to sign in, and the question before another site signs one in."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request

from lastmetre.common.security import security_log
from lastmetre.common.security.callers import SESSION_COOKIE, Person
from lastmetre.common.web.accept import weighted
from lastmetre.common.web.cookies import cookie_name
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_


@dataclass(frozen=True, slots=True)
class SignInPlace:
    """Where `/sign-in` is (`base`), and what this service's own pages begin with. Not `always`:
    only for browsers that have signed in there before; others are told by which link they can."""

    base: str
    own: str
    always: bool

    def for_page(self, request: Request) -> str | None:
        """Where the browser signs in, or renews its access token, and comes back from; None if
        this is no page that somebody opens."""
        signed_in_before = cookie_name(request, SESSION_COOKIE) in request.cookies
        if request.method != "GET" or not (self.always or signed_in_before):
            return None
        mode = request.headers.get("sec-fetch-mode")
        asked = dict(weighted(request.headers.get("accept", "")))
        opened = mode == "navigate" if mode else "text/html" in asked
        if not opened or "hx-request" in request.headers:
            return None
        query = f"?{request.url.query}" if request.url.query else ""
        back = f"{self.own.rstrip('/')}{request.url.path}{query}"
        return f"{self.base}/sign-in?{urlencode({'next': back})}"


def sign_in_place(request: Request) -> SignInPlace | None:
    """That of the application; an edge that is asked before it has none."""
    application = request.scope.get("app")
    return getattr(application.state, "sign_in", None) if application else None


_FROM_ELSEWHERE: Final = frozenset({"cross-site", "same-site"})


async def confirm_sign_in(request: Request, actor: str) -> None:
    """Raises Problem 403, a page that asks first, where another site led a browser to a link that
    signs it in, unless it is signed in as `actor` already.

    Else a foreign page could have somebody work under another name without noticing it. Browsers
    say where a request came from; a link in a message, or one that was typed, came from nowhere.
    The page leads to the same address again, this time from a page of ours.
    """
    if request.headers.get("sec-fetch-site") not in _FROM_ELSEWHERE:
        return
    unlinked = Request({**request.scope, "query_string": b""}, request.receive)
    known = await request.app.state.authenticator.identify(unlinked)
    if isinstance(known, Person) and any(each.actor == actor for each in known.in_each_role):
        return
    security_log.refused(request, 403, None, "signed_in_from_elsewhere")
    raise Problem(
        403,
        "/problems/confirm-sign-in",
        N_("Do you want to sign in?"),
        N_("Another site led here. From now on you would act as %(actor)s in this browser."),
        extra={"actor": actor},
    )
