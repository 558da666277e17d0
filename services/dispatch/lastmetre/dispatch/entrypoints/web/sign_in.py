"""The link in a lead's message: it signs his device in, and leads to the case."""

from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.security.access import PAGES_OF, SecretLink, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.security.lead_links import DEVICE_LIFETIME, LeadLinks
from lastmetre.common.security.sign_in import confirm_sign_in
from lastmetre.common.security.staff_cookies import keep_token
from lastmetre.common.security.tokens import issue_token
from lastmetre.common.service.clock import Clock
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_

SECONDS: Final = int(DEVICE_LIFETIME.total_seconds())


def sign_in_router(links: LeadLinks, token_key: bytes, clock: Clock) -> APIRouter:
    """`/work/open/{secret}`. `clock` is a real one: links do not live in a time-lapse."""
    router = page_router()

    @router.get("/work/open/{secret}", dependencies=allow(SecretLink()), **REDIRECTS)
    async def sign_in(request: Request, secret: str, case: str = "") -> Response:
        now = clock.now()
        lead_id = links.open(secret, now)
        if lead_id is None:
            raise Problem(
                404,
                "/problems/unknown-link",
                N_("This link is not good any more"),
                N_("Please open the link in the newest message that we sent you."),
            )
        await confirm_sign_in(request, f"{Role.LEAD.value}:{lead_id}")
        number = read_case_number(case)
        response = RedirectResponse(f"/cases/{number}" if number else "/work", 303)
        token = issue_token(token_key, lead_id, Role.LEAD, lead_id, now, DEVICE_LIFETIME)
        keep_token(request, response, token, PAGES_OF[Role.LEAD], SECONDS)
        response.headers["Cache-Control"] = "no-store"
        return response

    return router
