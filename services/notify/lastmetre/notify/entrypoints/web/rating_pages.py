"""Pages: a reporter rates a closing."""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi import Form as FormBody
from starlette.responses import RedirectResponse, Response

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.security.access import Anyone, SecretLink, allow
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.forms import TAKES_FORM, Form, FormFields, Typed
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.words import N_
from lastmetre.notify.application.ratings import Ratings
from lastmetre.notify.domain.case_projection import CaseProjection
from lastmetre.notify.domain.ratings import Closing, Verdict

SCORES: Final = {str(score): score for score in range(1, 6)}


class RatingFields(FormFields):
    """The rating form as it is typed."""

    solved: Typed = ""
    score: Typed = ""


class RatingPages:
    """The page on which a reporter judges a closing, and the thanks that take its place."""

    def __init__(
        self, host: ServiceHost, ratings: Ratings, pages: Pages, categories: Categories
    ) -> None:
        self._host = host
        self._ratings = ratings
        self._pages = pages
        self._categories = categories

    async def show(self, request: Request, token: str, solved: str, came_from: str) -> Response:
        """The form, or what was given already; `solved` is chosen beforehand."""
        closing, form = self._ratings.find.closing(token), Form({"solved": solved})
        return await self._page(request, closing, form, came_from)

    async def reopen(self, token: str, came_from: str) -> Response:
        """Ask to take up again what was rated."""
        await self._ratings.reopen(self._ratings.find.closing(token))
        return self._back(f"/rate/{token}", came_from)

    def _back(self, path: str, came_from: str) -> Response:
        """The address is the same: whoever opens the link again sees what was given."""
        secret = self._progress(came_from)
        return RedirectResponse(f"{path}?progress={secret}" if secret else path, 303)

    def _progress(self, secret: str) -> str | None:
        """The progress page that the reader came from, if it is one of ours."""
        known = self._host.links.open(LinkPurpose.PROGRESS, secret)
        return secret if known is not None else None

    async def give(
        self, request: Request, token: str, fields: RatingFields, came_from: str
    ) -> Response:
        """Take a rating from the form."""
        closing, form = self._ratings.find.closing(token), Form.of(fields)
        if form.value("redisplay"):
            return await self._page(request, closing, form, came_from)
        said = _read(form)
        if said is None:
            return await self._page(request, closing, form, came_from, 422)
        await self._ratings.give(closing, said)
        return self._back(request.url.path, came_from)

    async def _page(
        self,
        request: Request,
        closing: Closing,
        form: Form,
        came_from: str,
        status: int = 200,
    ) -> Response:
        case, rating = await self._ratings.find(closing)
        secret = self._progress(came_from)
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


def rating_router(rating_pages: RatingPages, pages: Pages) -> APIRouter:
    """The pages of residents."""
    router = page_router()

    @router.get("/", dependencies=allow(Anyone()), **REDIRECTS)
    async def first_page() -> Response:
        """Leads to the report form."""
        return RedirectResponse(pages.service_url("intake", "/report"), 303)

    @router.get("/rate/{token}", dependencies=allow(SecretLink()))
    async def rating_form(
        request: Request, token: str, solved: str = "", progress: str = ""
    ) -> Response:
        """The form, or what was given already. `progress` is the page that the reader came from."""
        return await rating_pages.show(request, token, solved, progress)

    @router.post("/rate/{token}", dependencies=allow(SecretLink()), **TAKES_FORM)
    async def give_rating(
        request: Request,
        token: str,
        fields: Annotated[RatingFields, FormBody()],
        progress: str = "",
    ) -> Response:
        """Take the form; leads back to the same address."""
        return await rating_pages.give(request, token, fields, progress)

    @router.post("/rate/{token}/reopen", dependencies=allow(SecretLink()), **REDIRECTS)
    async def reopen_rated(token: str, progress: str = "") -> Response:
        """Ask to take up again what was rated; leads back to its page."""
        return await rating_pages.reopen(token, progress)

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
