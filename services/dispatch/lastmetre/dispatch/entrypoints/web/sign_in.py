"""The link in a lead's message: intake signs his device in, and leads him back to the case."""

from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.security.access import SecretLink, allow
from lastmetre.common.web.openapi import REDIRECTS, page_router


def sign_in_router(sign_in_base: str, own_url: str) -> APIRouter:
    """`/work/open/{secret}`. `sign_in_base` is what the address of `/sign-in` begins with,
    `own_url` what those of dispatch's pages do."""
    router = page_router()

    @router.get("/work/open/{secret}", dependencies=allow(SecretLink()), **REDIRECTS)
    async def sign_in(request: Request, secret: str, case: str = "") -> Response:
        """Leads on to the sign-in, which knows whether the secret is good."""
        number = read_case_number(case)
        back = f"{own_url.rstrip('/')}{f'/cases/{number}' if number else '/work'}"
        address = (
            f"{sign_in_base}/sign-in/link/{quote(secret, safe='')}?{urlencode({'next': back})}"
        )
        return RedirectResponse(address, 303, {"Cache-Control": "no-store"})

    return router
