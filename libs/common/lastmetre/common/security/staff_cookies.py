"""The cookies that keep a member of staff signed in.

By TLS a cookie has the prefix `__Host-`: neither another host of the domain nor an answer in the
clear can put one in its place. Such a cookie is sent with every path, so its name says for which
pages it counts: one browser can hold the links of several roles next to each other, as in the demo.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lastmetre.common.security.callers import ACCESS_COOKIE, TOKEN_COOKIE
from lastmetre.common.web.cookies import HOST, by_tls, cookie_name

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def pages_part(path: str) -> str:
    """The first part of a path: `/work` of `/work/rows`."""
    return "/" + path.lstrip("/").split("/", 1)[0]


def tokens_in_cookies(request: "Request") -> list[str]:
    """What this browser keeps for the pages that are asked for: what a link left there, then the
    access token of a sign-in."""
    part = pages_part(request.url.path)
    names = (_host_cookie(part) if by_tls(request) else TOKEN_COOKIE, access_cookie(request))
    return [request.cookies[name] for name in names if name in request.cookies]


def access_cookie(request: "Request") -> str:
    """The name of the cookie with the access token of whoever has signed in."""
    return cookie_name(request, ACCESS_COOKIE)


def forget_links(request: "Request", response: "Response", pages: Iterable[str]) -> None:
    """Have the browser drop what links left there: somebody has signed in, or out."""
    tls = by_tls(request)
    for part in sorted(pages):
        name, path = (_host_cookie(part), "/") if tls else (TOKEN_COOKIE, part)
        response.delete_cookie(name, path=path, secure=tls, httponly=True, samesite="lax")


def keep_token(
    request: "Request",
    response: "Response",
    token: str,
    pages: Iterable[str],
    max_age: int | None = None,
) -> None:
    """Have the browser keep a token for `pages` (first parts of paths), `max_age` in seconds."""
    tls = by_tls(request)
    for part in sorted(pages):
        response.set_cookie(
            _host_cookie(part) if tls else TOKEN_COOKIE,
            token,
            path="/" if tls else part,
            max_age=max_age,
            httponly=True,
            samesite="lax",
            secure=tls,
        )


def _host_cookie(part: str) -> str:
    return f"{HOST}{TOKEN_COOKIE}_{part.removeprefix('/')}"
