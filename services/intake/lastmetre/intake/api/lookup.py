"""What became of a sender's own ids: for imports and replays, which know no others."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from lastmetre.common.contracts.base import Channel, Code
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.bodies import read_model
from lastmetre.intake.domain.case_view import state_after
from lastmetre.intake.store import reports
from lastmetre.intake.store.pool import connected

ASKED_AT_MOST: Final = 1000


class LookupAsked(BaseModel):
    """A sender's ids within one channel."""

    model_config = ConfigDict(extra="forbid")

    sender: Code
    channel: Channel
    source_ids: Annotated[list[Code], Field(max_length=ASKED_AT_MOST)]


def lookup_router(host: ServiceHost) -> APIRouter:
    """`POST /api/intake/v1/lookup`."""
    router = APIRouter(prefix="/api/intake/v1", route_class=GuardedRoute)

    @router.post("/lookup")
    @allow(Role.ADMINISTRATOR, ServiceKey(*SERVICES))
    async def lookup(request: Request) -> Response:
        asked = await read_model(request, LookupAsked)
        return JSONResponse({"reports": await look_up(host, asked)})

    return router


async def look_up(host: ServiceHost, asked: LookupAsked) -> list[dict[str, Any]]:
    """An entry per source id, in order; `outcome` is `unseen` until its record was read."""
    links = host.links
    identities = [
        links.receipt_identity(asked.sender, asked.channel.value, source_id)
        for source_id in asked.source_ids
    ]
    async with connected(host.pool) as connection:
        found = {each.identity: each for each in await reports.look_up(connection, identities)}
    answers: list[dict[str, Any]] = []
    for source_id, identity in zip(asked.source_ids, identities, strict=True):
        answer: dict[str, Any] = {
            "source_id": source_id,
            "receipt": links.seal(LinkPurpose.RECEIPT, identity),
            "outcome": "unseen",
        }
        if (each := found.get(identity)) is not None:
            answer |= {
                "report_id": str(each.report_id),
                "outcome": each.outcome,
                "reasons": each.reasons,
                "case_id": str(each.case_id) if each.case_id else None,
                "number": each.number,
                "state": state_after(each.types) if each.types else None,
                "seq": each.seq,
                "lead_id": each.lead_id,
            }
        answers.append(answer)
    return answers
