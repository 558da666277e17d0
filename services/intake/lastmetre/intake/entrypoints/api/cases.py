"""`GET /cases/{receipt}`: what became of a report, without anything personal."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict

from lastmetre.common.contracts.cases import PublishedLead
from lastmetre.common.security.access import GuardedRoute, SecretLink, allow
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.follow_report import FollowReport
from lastmetre.intake.domain.case_view import Followed, state_of


def nothing_here() -> Problem:
    """For a secret that we did not make."""
    return Problem(404, "about:blank", N_("There is nothing here"))


def identity_in(links: SignedLinks, purpose: LinkPurpose, secret: str) -> bytes:
    """The identity inside a secret; raises Problem 404."""
    identity = links.open(purpose, secret)
    if identity is None:
        raise nothing_here()
    return identity


class TimelineEntry(BaseModel):
    """A step, with what its kind tells: area and lead, a reason, a rating."""

    model_config = ConfigDict(extra="allow")

    seq: int
    type: str
    occurred_at: datetime
    recorded_at: datetime


class CaseFollowed(BaseModel):
    """What became of a report: `received` until it was read, no number until it is a case."""

    receipt: str
    state: str
    channel: str | None = None
    reported_at: datetime | None = None
    reasons: list[str] | None = None
    number: str | None = None
    seq: int | None = None
    reports: int | None = None
    """How many the case was made of."""
    lead: PublishedLead | None = None
    timeline: list[TimelineEntry] | None = None


def cases_router(links: SignedLinks, follow: FollowReport) -> APIRouter:
    """Open to whoever holds a receipt."""
    router = APIRouter(route_class=GuardedRoute, tags=["reports"])

    @router.get(
        "/cases/{receipt}", dependencies=allow(SecretLink()), response_model_exclude_unset=True
    )
    async def follow_case(receipt: str, response: Response) -> CaseFollowed:
        """What became of a report, by its receipt."""
        identity = identity_in(links, LinkPurpose.RECEIPT, receipt)
        followed = await follow(identity)
        response.headers["Cache-Control"] = "no-store"
        return CaseFollowed.model_validate({"receipt": receipt, **_document(followed)})

    return router


def _document(followed: Followed | None) -> dict[str, Any]:
    document: dict[str, Any] = {"state": state_of(followed)}
    if followed is None:
        return document
    document |= {"channel": followed.channel, "reported_at": followed.reported_at}
    if followed.reasons:
        document["reasons"] = followed.reasons
    if followed.view is not None:
        document |= {
            "number": followed.view.number,
            "seq": followed.view.seq,
            "reports": followed.view.reports,
            "lead": followed.view.lead,
            "timeline": [
                {
                    "seq": entry.seq,
                    "type": entry.type,
                    "occurred_at": entry.occurred_at,
                    "recorded_at": entry.recorded_at,
                    **entry.details,
                }
                for entry in followed.timeline
            ],
        }
    return document
