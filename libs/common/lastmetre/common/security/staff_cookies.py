"""The cookies that keep a member of staff signed in.

By TLS a cookie has the prefix `__Host-`: neither another host of the domain nor an answer in the
clear can put one in its place. Such a cookie is sent with every path, so its name says for which
pages it counts: one browser can hold the links of several roles next to each other, as in the demo.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from lastmetre.common.security.callers import TOKEN_COOKIE
from lastmetre.common.web.cookies import HOST, by_tls

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response


def pages_part(path: str) -> str:
    """The first part of a path: `/work` of `/work/rows`."""
    return "/" + path.lstrip("/").split("/", 1)[0]


def token_in_cookie(request: "Request") -> str | None:
    """The token that a link left in this browser for the pages that are asked for."""
    if by_tls(request):
        return request.cookies.get(_host_cookie(pages_part(request.url.path)))
    return request.cookies.get(TOKEN_COOKIE)


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
