"""Photos on residents' pages: taken with the form, and shown to whoever holds the report."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from fastapi import APIRouter, UploadFile
from starlette.responses import Response

from lastmetre.common.contracts.base import Channel
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.access import GuardedRoute, SecretLink, allow
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.web.forms import Form
from lastmetre.common.web.words import N_
from lastmetre.intake.application.keep_photos import KeepFormPhotos, KeptPhoto, ShowPhotos
from lastmetre.intake.domain.photos import MEDIA_TYPE, Refusal
from lastmetre.intake.domain.submission import OPEN_SENDER
from lastmetre.intake.entrypoints.api.cases import identity_in, nothing_here

_WORDS: Final = {
    Refusal.EMPTY: N_("Photo %(number)s is empty. Please choose it again"),
    Refusal.TOO_LARGE: N_("Photo %(number)s is larger than 10 MB. Please choose a smaller one"),
    Refusal.NOT_A_PICTURE: N_("Photo %(number)s is not a picture in JPEG, PNG or WebP"),
    Refusal.HEIC: N_(
        "Photo %(number)s is a HEIC picture, which we cannot read. Please send it as JPEG"
    ),
    Refusal.TOO_MANY_PIXELS: N_(
        "Photo %(number)s has too many pixels. Please choose a smaller one"
    ),
    Refusal.DAMAGED: N_("Photo %(number)s is damaged. Please choose another one"),
    Refusal.TOO_MANY: N_("Photo %(number)s is one too many: three can go with a report"),
    Refusal.REPORT_ERASED: N_("Photo %(number)s was not taken: the report was erased"),
    Refusal.NOT_NOW: N_(
        "Photo %(number)s could not be taken just now. Please try again, or send without it"
    ),
}
_A_WHILE: Final = "private, max-age=600"


class PhotoPages:
    """`keep` is None where the city takes no photos."""

    def __init__(self, links: SignedLinks, keep: KeepFormPhotos | None, show: ShowPhotos) -> None:
        self._links = links
        self._keep = keep
        self._show = show

    @property
    def are_taken(self) -> bool:
        """Whether the form asks for photos."""
        return self._keep is not None

    def _of_form(self, source_id: str) -> bytes:
        return self._links.receipt_identity(OPEN_SENDER, Channel.APP.value, source_id)

    async def take(self, form: Form, uploads: Sequence[UploadFile], client: str) -> None:
        """Keep what was chosen, for the report that the form becomes; says in the form what of it
        was refused."""
        chosen = [each for each in uploads if each.filename or each.size]
        if not chosen or self._keep is None:
            return
        identity = self._of_form(form.value("source_id"))
        for number, why in (await self._keep(identity, chosen, client)).items():
            form.fail(f"photo-{number}", _WORDS[why], number=number)

    async def kept_with(self, form: Form) -> int:
        """How many the form has already."""
        if not self.are_taken:
            return 0
        try:
            return len(await self._show.of(self._of_form(form.value("source_id"))))
        except DATABASE_ERRORS:
            return 0

    async def of(self, identity: bytes) -> Sequence[KeptPhoto]:
        """Those of a report."""
        return await self._show.of(identity)

    async def answer(self, secret: str, photo_id: str, *, thumbnail: bool) -> Response:
        """The picture, for whoever holds the link to its report; raises Problem 404."""
        identity = identity_in(self._links, LinkPurpose.PROGRESS, secret)
        try:
            known_as = UUID(photo_id)
        except ValueError:
            raise nothing_here() from None
        body = await self._show.picture(identity, known_as, thumbnail=thumbnail)
        if body is None:
            raise nothing_here()
        return Response(body, media_type=MEDIA_TYPE, headers={"Cache-Control": _A_WHILE})


def photo_router(pages: PhotoPages) -> APIRouter:
    """The pictures on the progress page."""
    router = APIRouter(
        route_class=GuardedRoute,
        tags=["reports"],
        default_response_class=Response,
        responses={200: {"content": {MEDIA_TYPE: {}}}},
    )

    @router.get("/progress/{secret}/photos/{photo_id}", dependencies=allow(SecretLink()))
    async def photo(secret: str, photo_id: str) -> Response:
        """A photo of the report."""
        return await pages.answer(secret, photo_id, thumbnail=False)

    @router.get("/progress/{secret}/photos/{photo_id}/thumbnail", dependencies=allow(SecretLink()))
    async def photo_thumbnail(secret: str, photo_id: str) -> Response:
        """The same, small."""
        return await pages.answer(secret, photo_id, thumbnail=True)

    return router
