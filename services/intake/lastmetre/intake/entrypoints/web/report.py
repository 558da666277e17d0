"""`/report`: what, where, and how to reach the reporter; posts like any channel does."""

from collections.abc import Sequence
from math import ceil
from typing import Annotated, Any, Final
from uuid import UUID, uuid4

from fastapi import APIRouter, Request, UploadFile
from fastapi import Form as FormBody
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from lastmetre.common.categories import Categories
from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.base import Language
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.reports import ReportSubmitted, SubmittedContact, SubmittedPosition
from lastmetre.common.danger import names_danger
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.access import Anyone, SecretLink, allow
from lastmetre.common.security.origin import refuse_cross_site
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.web.forms import FORM_BYTES, TAKES_FORM, Form, FormFields, Typed, grouped
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.common.web.svg.maps import Look
from lastmetre.common.web.words import N_
from lastmetre.intake.application.follow_report import TellJustSent
from lastmetre.intake.application.submit_form import SubmitForm
from lastmetre.intake.domain.attempts import TooManyAttempts
from lastmetre.intake.domain.photos import MOST_BYTES, MOST_PHOTOS
from lastmetre.intake.domain.submission import OPEN_SENDER, NotAcknowledged
from lastmetre.intake.entrypoints.api.cases import identity_in
from lastmetre.intake.entrypoints.clients import client_in
from lastmetre.intake.entrypoints.edge.application import RETRY_AFTER_SECONDS
from lastmetre.intake.entrypoints.web.network import NOTHING_DRAWN, Drawn, Network, middle_of
from lastmetre.intake.entrypoints.web.photos import PhotoPages

MOST_TEXT: Final = 2000
ADDED: Final = "added"
"""In the query of the progress page: something was sent just now."""
DANGER: Final = "danger"
"""In the query of the page after the form: what was sent speaks of danger."""
_MOST_LINE: Final = 200
_TAKES_PHOTOS: Final[dict[str, Any]] = TAKES_FORM | {
    "max_body_size": MOST_PHOTOS * MOST_BYTES + FORM_BYTES,
    # More than are taken, so that the page can say which is one too many.
    "form_limits": {"max_fields": 100, "max_files": 4 * MOST_PHOTOS, "max_part_size": FORM_BYTES},
}


class ReportFields(FormFields):
    """The form as it is typed. `source_id` is the page's own: a second click repeats it."""

    source_id: Typed = ""
    category: Typed = ""
    text: Typed = ""
    address: Typed = ""
    area: Typed = ""
    lat: Typed = ""
    lng: Typed = ""
    accuracy: Typed = ""
    name: Typed = ""
    phone: Typed = ""
    email: Typed = ""
    photos: Sequence[UploadFile] = ()


class ReportPages:
    """The form, and the page after it."""

    def __init__(
        self,
        links: SignedLinks,
        pages: Pages,
        network: Network,
        categories: Categories,
        check: ContactCheck,
        submit: SubmitForm,
        just_sent: TellJustSent,
        photos: PhotoPages,
    ) -> None:
        self._links = links
        self._pages = pages
        self._network = network
        self._categories = categories
        self._check = check
        self._submit = submit
        self._just_sent = just_sent
        self._photos = photos

    async def show(
        self,
        request: Request,
        form: Form,
        status: int = 200,
        *,
        not_acknowledged: bool = False,
        too_many: bool = False,
    ) -> Response:
        """The form, with what was typed and what is wrong with it."""
        wording = self._pages.wordings[self._pages.language_of(request)]
        drawn = await self._drawn()
        names = {area_id: wording.own(area.name) for area_id, area in drawn.areas.items()}
        towns = {key: wording.own(each.town) for key, each in drawn.areas.items() if each.town}
        drawing = None
        if drawn.city is not None:
            label = self._pages.translations[wording.language].gettext("Map of the city's areas")
            look = Look(names=names, groups=towns)
            drawing = drawn.city.draw(label, look, pick=True, scale=wording.distance)
        sent_before = bool(form.value("source_id"))
        _identify(form)
        context = {
            "photos_taken": self._photos.are_taken,
            "photos_kept": await self._photos.kept_with(form) if sent_before else 0,
            "form": form,
            "categories": (offered := self._categories.on_form()),
            "choices": [("", [(each.code, wording.own(each.name)) for each in offered])],
            "drawing": drawing,
            "areas": grouped((towns.get(key, ""), name, key) for key, name in names.items()),
            "not_acknowledged": not_acknowledged,
            "too_many": too_many,
        }
        return self._pages.render(request, "report.html", context, status)

    async def _drawn(self) -> Drawn:
        """Without the database the form has no map, but it still takes reports."""
        try:
            return await self._network.drawn()
        except DATABASE_ERRORS:
            return NOTHING_DRAWN

    async def take(self, request: Request, fields: ReportFields) -> Response:
        """Send what was typed; a second click sends the same report, which counts once."""
        refuse_cross_site(request)
        form = Form.of(fields)
        _identify(form)
        client = client_in(request)
        await self._photos.take(form, fields.photos, client)
        if form.value("redisplay"):
            return await self.show(request, form)
        drawn = await self._drawn()
        report = self._report(form, drawn, self._pages.language_of(request))
        if report is None:
            return await self.show(request, form, 422)
        try:
            sent = await self._submit(report, client)
        except TooManyAttempts as refused:
            return await self._refuse(request, form, refused)
        except NotAcknowledged:
            response = await self.show(request, form, 503, not_acknowledged=True)
            response.headers["Retry-After"] = RETRY_AFTER_SECONDS
            return response
        # The reporter's own secret, not the receipt: from here he goes on to his progress page.
        secret = self._links.seal(LinkPurpose.PROGRESS, sent.identity)
        if sent.corrects:
            return RedirectResponse(f"/progress/{secret}?{ADDED}", 303)
        danger = f"?{DANGER}" if names_danger((form.value("text"), form.value("address"))) else ""
        return RedirectResponse(f"/report/sent/{secret}{danger}", 303)

    async def _refuse(self, request: Request, form: Form, refused: TooManyAttempts) -> Response:
        if refused.of_contact:
            form.fail(
                "phone" if form.value("phone") else "email",
                N_("Many reports have come with it lately. Please leave it out, or call 12345"),
            )
        response = await self.show(request, form, 429, too_many=not refused.of_contact)
        response.headers["Retry-After"] = str(int(refused.passed.window.total_seconds()))
        return response

    def _report(self, form: Form, drawn: Drawn, language: str) -> ReportSubmitted | None:
        """What was typed as a report; None if something in it has to be put right."""
        category = form.value("category")
        known = {each.code for each in self._categories.on_form()}
        if not form.value("text") and category not in known:
            form.fail("text", N_("Please say what is the matter, or choose above"))
        for name, most in (("text", MOST_TEXT), ("address", _MOST_LINE), ("name", _MOST_LINE)):
            if len(form.value(name)) > most:
                form.fail(name, N_("At most %(most)s characters, please"), most=most)
        tapped = _tapped(form)
        area = drawn.areas.get(form.value("area")) if tapped is None else None
        position = _whole(area) if area else tapped
        if position is None and not form.value("address"):
            form.fail("address", N_("Tell us the place, or tap the map"))
        contact = self._contact(form, language)
        if form.errors:
            return None
        try:
            return ReportSubmitted(
                source_id=form.value("source_id"),
                sub_channel=OPEN_SENDER,
                category=category if category in known else None,
                text=form.value("text") or None,
                address=form.value("address") or None,
                position=position,
                named_area_id=area.area_id if area else None,
                contact=contact,
            )
        except ValidationError:
            form.fail("text", N_("There is a character in it that we cannot read"))
            return None

    def _contact(self, form: Form, language: str) -> SubmittedContact | None:
        phone, email = form.value("phone")[:_MOST_LINE], form.value("email")[:_MOST_LINE]
        usable = self._check.usable(phone, email)
        if phone and not usable.phone:
            form.fail("phone", N_("This is not a phone number that we can reach"))
        if email and not usable.email:
            form.fail("email", N_("This is not an e-mail address that we can reach"))
        name = form.value("name")
        return SubmittedContact(
            name=name[:_MOST_LINE] or None,
            phone=phone or None,
            email=email or None,
            language=Language(language),
        )

    async def sent(self, request: Request, secret: str, *, danger: bool) -> Response:
        """Thanks, and where to follow it; the number appears once the case has one. `danger`: what
        was sent speaks of it."""
        sent = await self._just_sent(identity_in(self._links, LinkPurpose.PROGRESS, secret))
        followed = sent.followed
        context: dict[str, Any] = {
            "progress_url": self._pages.service_url("intake", f"/progress/{secret}"),
            "number": followed.view.number if followed and followed.view else None,
            "lead": followed.view.lead if followed and followed.view else None,
            "rejected": followed is not None and followed.outcome == "rejected",
            "reachable": sent.reachable,
            "danger": danger,
        }
        return self._pages.render(request, "sent.html", context)


def _tapped(form: Form) -> SubmittedPosition | None:
    """Where the map was tapped."""
    try:
        return SubmittedPosition(
            latitude=float(form.value("lat")),
            longitude=float(form.value("lng")),
            accuracy_metres=float(form.value("accuracy") or 0) or None,
        )
    except ValueError:  # nothing there, or not a position: ValidationError is one too
        return None


def _whole(area: AreaPublished) -> SubmittedPosition:
    """All of an area, as its middle with how far it reaches from there."""
    middle = middle_of(area)
    return SubmittedPosition(
        latitude=middle.latitude,
        longitude=middle.longitude,
        accuracy_metres=ceil(middle.reach_metres),
    )


def _identify(form: Form) -> None:
    """A form has an id of its own, which its photos stand with before it is sent."""
    if not _is_uuid(form.value("source_id")):
        form.values["source_id"] = str(uuid4())


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def report_router(pages: ReportPages) -> APIRouter:
    """The form's routes."""
    router = page_router()

    @router.get("/", dependencies=allow(Anyone()), **REDIRECTS)
    async def first_page() -> Response:
        """Leads to the form."""
        return RedirectResponse("/report", 303)

    @router.get("/report", dependencies=allow(Anyone()))
    async def report_form(request: Request) -> Response:
        """The form."""
        return await pages.show(request, Form())

    @router.post("/report", dependencies=allow(Anyone()), **_TAKES_PHOTOS)
    async def send_report(
        request: Request, fields: Annotated[ReportFields, FormBody()]
    ) -> Response:
        """Send what was typed; leads on to the page after it."""
        return await pages.take(request, fields)

    @router.get("/report/sent/{secret}", dependencies=allow(SecretLink()))
    async def report_sent(request: Request, secret: str, danger: str | None = None) -> Response:
        """Thanks, and where to follow it."""
        return await pages.sent(request, secret, danger=danger is not None)

    return router
