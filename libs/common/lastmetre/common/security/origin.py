"""Did one of our own pages send this, or another site that uses this browser's cookie?"""

from urllib.parse import urlsplit

from starlette.requests import Request

from lastmetre.common.security import security_log
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_


def is_same_origin(request: Request) -> bool:
    """Whether a request that changes something came from a page of this origin.

    The browser says so itself in Sec-Fetch-Site; older ones (Safari before 16.4) send only Origin,
    which is compared with scheme and host asked. A request with neither comes from no browser page.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True
    return urlsplit(origin)[:2] == (request.url.scheme, request.headers.get("host", ""))


def refuse_cross_site(request: Request) -> None:
    """Raise Problem 403 for a form that another site had somebody's browser send."""
    if not is_same_origin(request):
        security_log.refused(request, 403, None, "cross_site")
        raise Problem(
            403,
            "/problems/cross-site",
            N_("This came from another site"),
            N_("Please open our own page and send it from there."),
        )
