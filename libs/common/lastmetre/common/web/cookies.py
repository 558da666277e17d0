"""Cookies that only their own host can set, where the request came by TLS."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import Request

HOST: Final = "__Host-"
"""Browsers take such a cookie only with Secure, for all paths, and from the host itself."""


def by_tls(request: "Request") -> bool:
    """Whether the reader's connection is encrypted: a trusted proxy says how it was asked."""
    return request.url.scheme == "https"


def cookie_name(request: "Request", name: str) -> str:
    """`name`, with the prefix by TLS."""
    return HOST + name if by_tls(request) else name
