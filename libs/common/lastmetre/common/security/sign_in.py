"""The question before another site signs a browser in."""

from typing import Final

from starlette.requests import Request

from lastmetre.common.security import security_log
from lastmetre.common.security.callers import Person
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_

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
