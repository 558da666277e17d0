"""What became of a report, without anything personal: by its receipt, and for its sender by the id
that he gave it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.convertors import StringConvertor, register_url_convertor

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.cases import PublishedLead
from lastmetre.common.security.access import ChannelKey, GuardedRoute, SecretLink, allow
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.follow_report import FollowReport, FollowSentReport
from lastmetre.intake.domain.case_view import Followed, state_of


class _Rest(StringConvertor):
    """What is left of a path, slashes too. Starlette's `path` is nothing as well, and then it leads
    whoever asks for the path before it to the one with a slash behind."""

    regex = ".+"


register_url_convertor("rest", _Rest())


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


class SentReportFollowed(CaseFollowed):
    """What became of a report that its sender asks for."""

    progress_url: str
    read_by: str | None = None
    """The mapping that read it, with its version."""
    conflicts: int
    """How often something else was sent under its id later. The first counts, these are kept for a
    person to look at; a correction needs an id of its own."""


async def sender(request: Request) -> ChannelCaller:
    """Whoever holds the key of a route for channels."""
    caller = request.state.principal
    assert isinstance(caller, ChannelCaller)
    return caller


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


def sent_reports_router(follow: FollowSentReport) -> APIRouter:
    """For the holder of a channel's key, of what was sent with a key of the same sender."""
    router = APIRouter(route_class=GuardedRoute, tags=["reports"])

    @router.get(
        "/channels/{channel}/reports/{source_id:rest}",
        dependencies=allow(ChannelKey()),
        response_model_exclude_unset=True,
    )
    async def follow_sent_report(
        channel: Channel,
        source_id: str,
        caller: Annotated[ChannelCaller, Depends(sender)],
        response: Response,
    ) -> SentReportFollowed:
        """What became of a report, by the id that its sender gave it. 404 until it was read."""
        found = await follow(caller.sender, channel, source_id)
        if found is None:
            raise Problem(
                404,
                "/problems/not-read",
                N_("There is no report of yours with this id"),
                N_("One that was sent a moment ago is found here once it was read."),
            )
        response.headers["Cache-Control"] = "no-store"
        return SentReportFollowed.model_validate(
            {
                "receipt": found.receipt,
                "progress_url": found.progress_url,
                "conflicts": found.conflicts,
                **({"read_by": found.read_by} if found.read_by else {}),
                **_document(found.followed),
            }
        )

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
