"""`POST /channels/{channel}/photos`: a photo for a report, by the id that its sender gives it."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Form, UploadFile
from pydantic import BaseModel

from lastmetre.common.contracts.base import Channel, Code
from lastmetre.common.security.access import ChannelKey, GuardedRoute, allow
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.keep_photos import KeepPhotos, PhotosBusy
from lastmetre.intake.domain.photos import MOST_BYTES, PhotoRefused, Refusal
from lastmetre.intake.entrypoints.api.cases import sender

_BODY_BYTES: Final = MOST_BYTES + 16 * 1024
_STATUS: Final = {Refusal.TOO_LARGE: 413, Refusal.NOT_A_PICTURE: 415, Refusal.HEIC: 415}


class PhotoTaken(BaseModel):
    """A photo that is kept: the same picture again for the same report has the same id."""

    photo_id: UUID


def photos_router(links: SignedLinks, keep: KeepPhotos | None) -> APIRouter:
    """For the holder of a channel's key. `keep` is None where the city takes no photos."""
    router = APIRouter(route_class=GuardedRoute, tags=["reports"])

    @router.post(
        "/channels/{channel}/photos",
        dependencies=allow(ChannelKey()),
        status_code=201,
        max_body_size=_BODY_BYTES,
        form_limits={"max_fields": 1, "max_files": 1, "max_part_size": 1024},
    )
    async def send_photo(
        channel: Channel,
        source_id: Annotated[Code, Form()],
        photo: UploadFile,
        caller: Annotated[ChannelCaller, Depends(sender)],
    ) -> PhotoTaken:
        """Keep a photo for the report with this source id, before or after the report is sent."""
        if keep is None:
            raise Problem(404, "/problems/no-photos", N_("No photos are taken here"))
        identity = links.receipt_identity(caller.sender, channel.value, source_id)
        try:
            return PhotoTaken(photo_id=await keep(identity, photo))
        except PhotoRefused as error:
            raise Problem(
                _STATUS.get(error.why, 422),
                "/problems/photo",
                N_("This photo is not taken"),
                extra={"reason": error.why.value},
            ) from error
        except PhotosBusy as error:
            raise Problem(
                503,
                "/problems/busy",
                N_("Not available for a moment"),
                headers={"Retry-After": "5"},
            ) from error

    return router
