"""Pages: a reporter rates a closing, staff see what became of messages."""

from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, RedirectResponse, Response

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.access import GuardedRoute, SecretLink, allow, person_of
from lastmetre.common.security.callers import Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.bodies import read_model
from lastmetre.common.web.forms import Form, read_form
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.notify.domain.messages import recipient_kind
from lastmetre.notify.domain.ratings import Closing
from lastmetre.notify.ratings import Ratings, Verdict
from lastmetre.notify.store import pages as store
from lastmetre.notify.store.pages import Rating

BODY_BYTES: Final = 4096
LOG_ROWS: Final = 100
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

    def __init__(self, host: ServiceHost, ratings: Ratings, pages: Pages) -> None:
        self._host = host
        self._ratings = ratings
        self._pages = pages

    async def show(self, request: Request, token: str) -> Response:
        """The form, or what was given already."""
        return await self._page(request, self._closing(token), Form())

    async def give(self, request: Request, token: str) -> Response:
        """Take a rating from the form or as JSON."""
        closing = self._closing(token)
        if not self._host.relay.has_room.is_set():
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            )
        if request.headers.get("content-type", "").startswith("application/json"):
            body = await read_model(request, RatingBody, BODY_BYTES)
            verdict = Verdict(body.solved, body.score, body.reopen)
            rating, new = await self._ratings.give(closing, verdict)
            return JSONResponse(_document(rating), 202 if new else 200)
        form = await read_form(request)
        said = _read(form)
        if said is None:
            return await self._page(request, closing, form, 422)
        await self._ratings.give(closing, said)
        # The address is the same: whoever opens the link again sees what was given.
        return RedirectResponse(request.url.path, 303)

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
        context = {"case": case, "now": self._host.clock.now()}
        if rating is not None:
            return self._pages.render(request, "rated.html", context | {"rating": rating})
        return self._pages.render(request, "rate.html", context | {"form": form}, status)


async def message_log(host: ServiceHost, pages: Pages, request: Request) -> Response:
    """The latest messages, all or those in one state."""
    wanted = request.query_params.get("state", "")
    state = wanted if wanted in STATES else ""
    rows = []
    async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
        waiting = await store.waiting_counts(connection)
        if state in ("", "waiting"):
            rows += await store.latest_waiting(connection, LOG_ROWS)
        if state != "waiting":
            results = [state] if state else [each.value for each in DeliveryResult]
            rows += await store.latest_done(connection, results, LOG_ROWS)
    context = {
        "state": state,
        "role": person_of(request).role.value,
        "states": STATES,
        "waiting": waiting,
        "rows": [
            dict(row) | {"to": recipient_kind(row["recipient"]).value} for row in rows[:LOG_ROWS]
        ],
        "now": host.clock.now(),
    }
    return pages.render(request, "log.html", context)


def pages_router(host: ServiceHost, ratings: Ratings, pages: Pages) -> APIRouter:
    """The pages of notify."""
    router = APIRouter(route_class=GuardedRoute)
    rating_pages = RatingPages(host, ratings, pages)

    @router.get("/rate/{token}")
    @allow(SecretLink())
    async def rate(request: Request, token: str) -> Response:
        return await rating_pages.show(request, token)

    @router.post("/rate/{token}")
    @allow(SecretLink())
    async def give(request: Request, token: str) -> Response:
        return await rating_pages.give(request, token)

    @router.get("/messages/log")
    @allow(Role.OPERATOR, Role.SUPERVISOR, Role.ADMINISTRATOR)
    async def log(request: Request) -> Response:
        return await message_log(host, pages, request)

    return router


def _read(form: Form) -> Verdict | None:
    """What the form says; None if something is missing, which the form then notes."""
    solved = form.value("solved")
    if solved not in ("yes", "no"):
        form.fail("solved", N_("Please say whether it is solved"))
    score = SCORES.get(form.value("score"))
    if score is None:
        form.fail("score", N_("Please choose one of the five stars"))
        return None
    if form.errors:
        return None
    return Verdict(solved == "yes", score, form.value("reopen") == "yes")


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
