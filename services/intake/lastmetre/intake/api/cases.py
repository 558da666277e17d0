"""`GET /cases/{receipt}`: what became of a report, without anything personal."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from lastmetre.common.kafka.codec import instant
from lastmetre.common.security.access import GuardedRoute, SecretLink, allow
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.store import cases
from lastmetre.intake.store.cases import Followed
from lastmetre.intake.store.pool import connected


def nothing_here() -> Problem:
    """For a secret that we did not make."""
    return Problem(404, "about:blank", N_("There is nothing here"))


def identity_in(links: SignedLinks, purpose: LinkPurpose, secret: str) -> bytes:
    """The identity inside a secret; raises Problem 404."""
    identity = links.open(purpose, secret)
    if identity is None:
        raise nothing_here()
    return identity


def cases_router(host: ServiceHost) -> APIRouter:
    """Open to whoever holds a receipt."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get("/cases/{receipt}")
    @allow(SecretLink())
    async def case(receipt: str, request: Request) -> Response:
        identity = identity_in(host.links, LinkPurpose.RECEIPT, receipt)
        async with connected(host.pool) as connection:
            followed = await cases.followed(connection, identity)
        return JSONResponse(
            {"receipt": receipt, **_document(followed)}, headers={"Cache-Control": "no-store"}
        )

    return router


def state_of(followed: Followed | None) -> str:
    """The state that a resident sees; `received` until the report became a case."""
    if followed is None:
        return "received"
    if followed.outcome == "rejected":
        return "rejected"
    return followed.view.state if followed.view else "received"


def _document(followed: Followed | None) -> dict[str, Any]:
    document: dict[str, Any] = {"state": state_of(followed)}
    if followed is None:
        return document
    document |= {"channel": followed.channel, "reported_at": instant(followed.reported_at)}
    if followed.reasons:
        document["reasons"] = followed.reasons
    if followed.view is not None:
        lead = followed.view.lead
        document |= {
            "number": followed.view.number,
            "seq": followed.view.seq,
            "reports": followed.view.reports,
            "lead": lead.model_dump(mode="json") if lead else None,
            "timeline": [
                {
                    "seq": entry.seq,
                    "type": entry.type,
                    "occurred_at": instant(entry.occurred_at),
                    "recorded_at": instant(entry.recorded_at),
                    **entry.details,
                }
                for entry in followed.timeline
            ],
        }
    return document
