"""`/progress`: what became of a report, for whoever holds its secret link."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Depends, Request
from fastapi import Form as FormBody
from fastapi.sse import ServerSentEvent
from starlette.responses import RedirectResponse, Response

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.categories import Categories
from lastmetre.common.contracts.cases import CaseState
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.security.access import Anyone, SecretLink, allow
from lastmetre.common.security.origin import refuse_cross_site
from lastmetre.common.security.signed_links import LinkPurpose, rating_identity
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.forms import TAKES_FORM, Form, FormFields, Typed
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.live_events import EVENTS
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.svg.geometry import contains, rings_of
from lastmetre.common.web.svg.maps import Fill, Look, Pin
from lastmetre.common.web.words import N_
from lastmetre.intake.application.add_to_report import AddToReport
from lastmetre.intake.application.find_report import FindReport
from lastmetre.intake.application.follow_report import FollowReport, Progress, TellProgress
from lastmetre.intake.domain.additions import CannotAdd
from lastmetre.intake.domain.attempts import TooManyAttempts
from lastmetre.intake.domain.case_view import CaseView, Followed, state_of
from lastmetre.intake.domain.progress import ENDED, steps
from lastmetre.intake.domain.submission import NotAcknowledged
from lastmetre.intake.domain.vault_entries import VaultEntry
from lastmetre.intake.entrypoints.api.cases import identity_in, nothing_here
from lastmetre.intake.entrypoints.clients import client_in
from lastmetre.intake.entrypoints.web.live import ProgressEvents
from lastmetre.intake.entrypoints.web.network import Drawn, Network
from lastmetre.intake.entrypoints.web.photos import PhotoPages
from lastmetre.intake.entrypoints.web.report import ADDED, MOST_TEXT

_RETRY_AFTER_SECONDS: Final = "900"
_EXACT_METRES: Final = 100.0
_CANNOT_ADD: Final = {
    "much_already": N_("Much has been added already. Please call 12345"),
    "not_now": N_("Nothing can be added just now. Please call 12345"),
}


class FindFields(FormFields):
    """A case number, and the last four digits of the phone that it was reported with."""

    number: Typed = ""
    tail: Typed = ""


class NoteFields(FormFields):
    """What is to be added to a report."""

    note: Typed = ""


class Watched(NamedTuple):
    """The report that a page waits for, and whom it counts for."""

    identity: bytes
    client: str


class ProgressUses(NamedTuple):
    """What the pages ask for."""

    find: FindReport
    follow: FollowReport
    tell: TellProgress
    add: AddToReport


class ProgressPages:
    """Finds a report by number and phone, and shows how it goes."""

    def __init__(
        self,
        host: ServiceHost,
        pages: Pages,
        network: Network,
        categories: Categories,
        uses: ProgressUses,
        photos: PhotoPages,
    ) -> None:
        self._links = host.links
        self._clock = host.clock
        self._pages = pages
        self._network = network
        self._categories = categories
        self._uses = uses
        self._photos = photos

    def ask(self, request: Request, form: Form, status: int = 200) -> Response:
        """The page that asks for number and digits."""
        context = {"form": form, "not_found": status in (404, 429), "later": status == 429}
        response = self._pages.render(request, "find.html", context, status)
        if status == 429:
            response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
        return response

    async def find(self, request: Request, fields: FindFields) -> Response:
        """Lead to the progress page of the number and phone that were typed."""
        refuse_cross_site(request)
        form = Form.of(fields)
        if form.value("redisplay"):
            return self.ask(request, form)
        typed = form.require("number", N_("Please type the number of your report"))
        tail = form.require("tail", N_("Please type the last four digits of your phone"))
        if tail and not (len(tail) == 4 and tail.isascii() and tail.isdecimal()):
            form.fail("tail", N_("Four digits, please"))
        if form.errors:
            return self.ask(request, form, 422)
        number = read_case_number(typed)
        if number is None:
            return self.ask(request, form, 404)
        client = client_in(request)
        try:
            identity = await self._uses.find(client, number, tail)
        except TooManyAttempts:
            return self.ask(request, form, 429)
        return self._to(identity) if identity else self.ask(request, form, 404)

    async def lead_on(self, secret: str) -> Response:
        """From the link in a message to the report's own page."""
        identity = await self._uses.follow.behind_message(self.identity(secret))
        if identity is None:
            raise nothing_here()
        return self._to(identity)

    def _to(self, identity: bytes) -> Response:
        secret = self._links.seal(LinkPurpose.PROGRESS, identity)
        return RedirectResponse(f"/progress/{secret}", 303)

    def identity(self, secret: str) -> bytes:
        """Of the report that a link leads to; raises Problem 404."""
        return identity_in(self._links, LinkPurpose.PROGRESS, secret)

    async def show(
        self,
        request: Request,
        secret: str,
        form: Form | None = None,
        status: int = 200,
        *,
        added: bool = False,
    ) -> Response:
        """The progress page; it fetches itself again when it hears of another version.

        `form` is the note that its reader is writing.
        """
        identity = self.identity(secret)
        told = await self._uses.tell(identity)
        followed = told.followed
        now = self._clock.now()
        state = state_of(followed)
        context: dict[str, Any] = {
            "now": now,
            "state": state,
            "followed": followed,
            "view": followed.view if followed else None,
            "ended": state in ENDED,
            "version": told.version,
            "form": form or Form(),
            "added": added,
            "not_acknowledged": status == 503,
            "rate_url": (
                self._rate_url(followed, followed.view, secret)
                if followed and followed.view
                else None
            ),
        }
        if followed is not None:
            context |= await self._told(request, followed, told, state)
        return self._pages.render(request, "progress.html", context, status)

    def _rate_url(self, followed: Followed, view: CaseView, progress: str) -> str | None:
        """Where this reporter can judge the last closing, and have the case taken up again; leads
        back to the progress page with the secret `progress`."""
        if view.state is not CaseState.CLOSED or view.closing is None:
            return None
        joined = followed.report_id if followed.joined else None
        identity = rating_identity(view.case_id, view.closing, joined)
        secret = self._links.seal(LinkPurpose.RATE, identity)
        return self._pages.service_url("notify", f"/rate/{secret}?progress={progress}")

    async def add(self, request: Request, secret: str, fields: NoteFields) -> Response:
        """Send what was added, as the channel sends a report: it has the report's own identity."""
        refuse_cross_site(request)
        identity = self.identity(secret)
        form = Form.of(fields)
        if form.value("redisplay"):
            return await self.show(request, secret, form)
        note = form.require("note", N_("Please write what is to be added"))
        if len(note) > MOST_TEXT:
            form.fail("note", N_("At most %(most)s characters, please"), most=MOST_TEXT)
        if form.errors:
            return await self.show(request, secret, form, 422)
        try:
            await self._uses.add(identity, note)
        except CannotAdd as error:
            form.fail("note", _CANNOT_ADD[error.why])
            return await self.show(request, secret, form, 422)
        except NotAcknowledged:
            return await self.show(request, secret, form, 503)
        return RedirectResponse(f"/progress/{secret}?{ADDED}", 303)

    async def _told(
        self, request: Request, followed: Followed, told: Progress, state: str
    ) -> dict[str, Any]:
        kept, ways = told.kept, told.ways
        drawn = await self._network.drawn()
        area_id = followed.view.area_id if followed.view else None
        area = drawn.areas.get(area_id) if area_id else None
        corrected = followed.view.category if followed.view else None
        code = corrected or followed.category
        return {
            "steps": steps(state, followed.reported_at, followed.timeline),
            "area": area,
            "areas": drawn.areas,
            "lies_in_area": area is not None and _lies_in(area, followed),
            "kept": kept,
            "photos": await self._photos.of(followed.identity),
            "additions": told.additions,
            "within_metres": _doubt(kept),
            "ways": ways,
            "phone_tail": ways.phone[-4:] if ways.phone and ways.takes_texts else None,
            "category": self._categories.name(code) if code in self._categories else None,
            "drawing": self._drawing(request, followed, drawn, area_id, _doubt(kept)),
        }

    def _drawing(
        self,
        request: Request,
        followed: Followed,
        drawn: Drawn,
        area_id: str | None,
        within_metres: float | None,
    ) -> str | None:
        if followed.latitude is None or followed.longitude is None or not drawn.areas:
            return None
        if followed.outcome == "rejected":
            return None
        wording = self._pages.wordings[self._pages.language_of(request)]
        label = self._pages.translations[wording.language].gettext("Sketch map of the place")
        fills: dict[str, Fill] = {area_id: "mine"} if area_id else {}
        names = {key: wording.own(area.name) for key, area in drawn.areas.items()}
        place = (followed.longitude, followed.latitude)
        pin = Pin(*place, shape="drop", within_metres=within_metres)
        around = drawn.near(place, within_metres or 0)
        if around.is_empty:
            return None
        return around.draw(
            label, Look(fills=fills, names=names), pins=[pin], scale=wording.distance
        )


def _doubt(kept: VaultEntry) -> float | None:
    """How far from its position the place may be, where that is too far for a point on a map."""
    metres = kept.accuracy_metres
    return metres if metres is not None and metres >= _EXACT_METRES else None


def _lies_in(area: AreaPublished, followed: Followed) -> bool:
    """Whether the position is in that area: who has a case need not answer for its place."""
    if followed.latitude is None or followed.longitude is None:
        return False
    return contains(list(rings_of(area.outline)), (followed.longitude, followed.latitude))


def progress_router(pages: ProgressPages, events: ProgressEvents) -> APIRouter:
    """The progress pages' routes."""
    router = page_router()

    async def watched(request: Request, secret: str) -> Watched:
        # Before the stream begins: then it is too late for a refusal.
        identity = pages.identity(secret)
        client = client_in(request)
        events.admit(client)
        return Watched(identity, client)

    @router.get("/progress", dependencies=allow(Anyone()))
    async def find_form(request: Request) -> Response:
        """The page that asks for number and digits."""
        return pages.ask(request, Form())

    @router.post("/progress", dependencies=allow(Anyone()), **TAKES_FORM)
    async def find_case(request: Request, fields: Annotated[FindFields, FormBody()]) -> Response:
        """Leads on to the progress page of what was typed."""
        return await pages.find(request, fields)

    @router.get("/progress/{secret}", dependencies=allow(SecretLink()))
    async def progress(request: Request, secret: str, added: str | None = None) -> Response:
        """How a report goes; `added` says that something was sent just now."""
        return await pages.show(request, secret, added=added is not None)

    @router.get("/progress/{secret}/events", dependencies=allow(SecretLink()), **EVENTS)
    async def progress_events(
        request: Request, each: Annotated[Watched, Depends(watched)]
    ) -> AsyncIterator[ServerSentEvent]:
        async for event in events.of(request, *each):
            yield event

    @router.post("/progress/{secret}", dependencies=allow(SecretLink()), **TAKES_FORM)
    async def add_note(
        request: Request, secret: str, fields: Annotated[NoteFields, FormBody()]
    ) -> Response:
        """Add something to the report; leads back to the page."""
        return await pages.add(request, secret, fields)

    @router.get("/progress/case/{secret}", dependencies=allow(SecretLink()), **REDIRECTS)
    async def progress_of_case(secret: str) -> Response:
        """Leads on from the link in a message to the report's own page."""
        return await pages.lead_on(secret)

    return router
