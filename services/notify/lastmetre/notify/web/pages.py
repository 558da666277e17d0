"""Pages: a reporter rates a closing, staff see what became of messages."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.base import Instant
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.access import Anyone, GuardedRoute, SecretLink, allow, person_of
from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.bodies import read_model
from lastmetre.common.web.forms import Form, read_form
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.notify.domain.case_projection import CaseProjection
from lastmetre.notify.domain.messages import recipient_kind
from lastmetre.notify.domain.ratings import Closing
from lastmetre.notify.ratings import Ratings, Verdict
from lastmetre.notify.store import pages as store
from lastmetre.notify.store.pages import Rating

BODY_BYTES: Final = 4096
LOG_ROWS: Final = 100
COUNTED: Final = timedelta(days=7)
SCORES: Final = {str(score): score for score in range(1, 6)}
STATES: Final = ("waiting", *(result.value for result in DeliveryResult))


class RatingBody(BaseModel):
    """A rating as a program sends it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    solved: bool
    score: int = Field(ge=1, le=5)
    reopen: bool = False


class RatingPages:
    """The page on which a reporter judges a closing, and the thanks that take its place."""

    def __init__(
        self, host: ServiceHost, ratings: Ratings, pages: Pages, categories: Categories
    ) -> None:
        self._host = host
        self._ratings = ratings
        self._pages = pages
        self._categories = categories

    async def show(self, request: Request, token: str) -> Response:
        """The form, or what was given already; `solved` in the query is chosen beforehand."""
        form = Form({"solved": request.query_params.get("solved", "")})
        return await self._page(request, self._closing(token), form)

    async def reopen(self, request: Request, token: str) -> Response:
        """Ask to take up again what was rated."""
        closing = self._closing(token)
        self._check_room()
        await self._ratings.reopen(closing)
        return self._back(request, f"/rate/{token}")

    def _back(self, request: Request, path: str) -> Response:
        """The address is the same: whoever opens the link again sees what was given."""
        secret = self._progress(request)
        return RedirectResponse(f"{path}?progress={secret}" if secret else path, 303)

    def _progress(self, request: Request) -> str | None:
        """The progress page that the reader came from, if it is one of ours."""
        secret = request.query_params.get("progress", "")
        known = self._host.links.open(LinkPurpose.PROGRESS, secret)
        return secret if known is not None else None

    def _check_room(self) -> None:
        """Raise Problem 503 while nothing can be sent on."""
        if not self._host.relay.has_room.is_set():
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )

    async def give(self, request: Request, token: str) -> Response:
        """Take a rating from the form or as JSON."""
        closing = self._closing(token)
        self._check_room()
        if request.headers.get("content-type", "").startswith("application/json"):
            body = await read_model(request, RatingBody, BODY_BYTES)
            verdict = Verdict(body.solved, body.score, body.reopen)
            rating, new = await self._ratings.give(closing, verdict)
            return JSONResponse(_document(rating), 202 if new else 200)
        form = await read_form(request)
        if form.value("redisplay"):
            return await self._page(request, closing, form)
        said = _read(form)
        if said is None:
            return await self._page(request, closing, form, 422)
        await self._ratings.give(closing, said)
        return self._back(request, request.url.path)

    def _closing(self, token: str) -> Closing:
        closing = self._ratings.open(token)
        if closing is None:
            raise Problem(
                404,
                "/problems/unknown-link",
                N_("This link is not valid"),
                N_("Please open the whole link from the message that we sent you."),
            )
        return closing

    async def _page(
        self, request: Request, closing: Closing, form: Form, status: int = 200
    ) -> Response:
        case, rating = await self._ratings.find(closing)
        secret = self._progress(request)
        context = {
            "case": case,
            "category": self._category(case),
            "now": self._host.clock.now(),
            "rate_path": f"/rate/{request.path_params['token']}",
            "progress": secret,
        }
        if rating is not None:
            return self._pages.render(request, "rated.html", context | {"rating": rating})
        return self._pages.render(request, "rate.html", context | {"form": form}, status)

    def _category(self, case: CaseProjection | None) -> LocalName | None:
        """What the case is about, if that has a name."""
        known = case is not None and case.category in self._categories
        return self._categories.name(case.category) if case and known else None


def _instant(typed: str) -> datetime | None:
    """The instant in an address; None if there is none."""
    try:
        return TypeAdapter(Instant).validate_python(typed)
    except ValidationError:
        return None


def _older(state: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The query of the page that goes on behind these rows."""
    last = rows[:LOG_ROWS][-1]["occurred_at"]
    return urlencode({"state": state, "before": last.isoformat()})


async def message_log(host: ServiceHost, pages: Pages, request: Request) -> Response:
    """The latest messages, all or those in one state."""
    wanted = request.query_params.get("state", "")
    state = wanted if wanted in STATES else ""
    before = _instant(request.query_params.get("before", ""))
    rows: list[Any] = []
    async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
        waiting = await store.waiting_counts(connection)
        if state in ("", "waiting") and before is None:
            rows += await store.latest_waiting(connection, LOG_ROWS)
        if state != "waiting":
            results = [state] if state else [each.value for each in DeliveryResult]
            rows += await store.latest_done(connection, results, before, LOG_ROWS)
        counts = await store.done_counts(connection, host.clock.now() - COUNTED)
    context = {
        "state": state,
        "role": person_of(request).role.value,
        "states": STATES,
        "waiting": waiting,
        "counts": counts | {"waiting": waiting["waiting"]},
        "older": _older(state, rows) if len(rows) >= LOG_ROWS else "",
        "rows": [
            dict(row) | {"to": recipient_kind(row["recipient"]).value} for row in rows[:LOG_ROWS]
        ],
        "now": host.clock.now(),
    }
    return pages.render(request, "log.html", context)


def pages_router(
    host: ServiceHost, ratings: Ratings, pages: Pages, categories: Categories
) -> APIRouter:
    """The pages of notify."""
    router = APIRouter(route_class=GuardedRoute)
    rating_pages = RatingPages(host, ratings, pages, categories)

    @router.get("/")
    @allow(Anyone())
    async def first_page(_: Request) -> Response:
        return RedirectResponse(pages.service_url("intake", "/report"), 303)

    @router.get("/rate/{token}")
    @allow(SecretLink())
    async def rate(request: Request, token: str) -> Response:
        return await rating_pages.show(request, token)

    @router.post("/rate/{token}")
    @allow(SecretLink())
    async def give(request: Request, token: str) -> Response:
        return await rating_pages.give(request, token)

    @router.post("/rate/{token}/reopen")
    @allow(SecretLink())
    async def reopen(request: Request, token: str) -> Response:
        return await rating_pages.reopen(request, token)

    @router.get("/messages/log")
    @allow(Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)
    async def log(request: Request) -> Response:
        return await message_log(host, pages, request)

    return router


def _read(form: Form) -> Verdict | None:
    """What the form says; None if something is missing, which the form then notes."""
    solved = form.value("solved")
    if solved not in ("yes", "no", "closed"):
        form.fail("solved", N_("Please say whether it is solved"))
    score = SCORES.get(form.value("score"))
    if score is None:
        form.fail("score", N_("Please choose one of the five stars"))
        return None
    if form.errors:
        return None
    return Verdict(solved == "yes", score, solved == "no")


def _document(rating: Rating) -> dict[str, Any]:
    return {
        "feedback_id": str(rating.feedback_id),
        "case_id": str(rating.case_id),
        "closing": rating.closing,
        "solved": rating.solved,
        "score": rating.score,
        "reopen": rating.reopen,
        "given_at": rating.given_at.isoformat(),
    }
