"""Photos of reports: kept clean and encrypted, and shown to whoever holds the report."""

import asyncio
import os
from collections.abc import Sequence
from typing import Final, Protocol
from uuid import UUID, uuid4

import structlog

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.photo_store import (
    KEY_BYTES,
    PICTURE,
    THUMBNAIL,
    PhotoStore,
    StoreAway,
)
from lastmetre.intake.adapters.postgres import photos
from lastmetre.intake.adapters.postgres.photos import KeptPhoto, NewPhoto
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.application.open_vault import belongs_to, opened
from lastmetre.intake.domain.attempts import PublicLimits
from lastmetre.intake.domain.photos import (
    MOST_BYTES,
    MOST_PHOTOS,
    CleanPhoto,
    PhotoRefused,
    Refusal,
    clean,
)
from lastmetre.intake.domain.vault_entries import PhotoEntry

log = structlog.get_logger()

WAITING_AT_MOST: Final = 8
"""Uploads that wait for the one that is being decoded: each may take seconds."""
_TRIES: Final = 4

__all__ = [
    "KeepFormPhotos", "KeepPhotos", "KeptPhoto", "PhotosBusy", "ShowPhotos", "StoreAway", "Upload",
]  # fmt: skip


class PhotosBusy(Exception):
    """Too many photos at once: worth another try."""


class Upload(Protocol):
    """What somebody sends: read when its turn has come."""

    async def read(self, size: int, /) -> bytes:
        """At most so many bytes."""


class KeepPhotos:
    """A photo stands with its report's identity: it may come before the report, and after it."""

    def __init__(self, host: ServiceHost, store: PhotoStore, vault: Vault) -> None:
        self._host = host
        self._store = store
        self._vault = vault
        self._decoding = asyncio.Semaphore(1)
        self._waiting = 0

    async def __call__(self, identity: bytes, upload: Upload) -> UUID:
        """Its id, once it is kept; the same picture again for the same report is the same photo.

        Raises PhotoRefused, PhotosBusy, StoreAway and what a database that is away raises.
        """
        if self._waiting >= WAITING_AT_MOST:
            raise PhotosBusy
        self._waiting += 1
        try:
            async with self._decoding:
                sent = await upload.read(MOST_BYTES + 1)
                photo_id = self._id(identity, sent)
                if await self._is_kept(identity, photo_id):
                    return photo_id
                zone = self._host.clock.now().tzinfo
                assert zone is not None
                photo = await asyncio.to_thread(clean, sent, zone)
        finally:
            self._waiting -= 1
        return await self._keep(identity, photo_id, photo)

    def _id(self, identity: bytes, sent: bytes) -> UUID:
        """Keyed: it tells nobody what the picture is."""
        return UUID(bytes=self._vault.fingerprint(identity + b"\0photo\0" + sent)[:16], version=4)

    async def _is_kept(self, identity: bytes, photo_id: UUID) -> bool:
        async with connected(self._host.pool) as connection:
            found = await photos.holding(connection, identity, photo_id)
        if found.is_kept:
            return True
        if found.erased:
            raise PhotoRefused(Refusal.REPORT_ERASED)
        if found.photos >= MOST_PHOTOS:
            raise PhotoRefused(Refusal.TOO_MANY)
        return False

    async def _keep(self, identity: bytes, photo_id: UUID, photo: CleanPhoto) -> UUID:
        key, photo_object = os.urandom(KEY_BYTES), uuid4()
        now = self._host.clock.now()
        async with connected(self._host.pool) as connection:
            await photos.announce(connection, photo_object, now)
        await self._store.put(photo_object, THUMBNAIL, photo.thumbnail, key)
        await self._store.put(photo_object, PICTURE, photo.picture, key)
        taken = photo.taken
        entry = PhotoEntry(
            key=key.hex(), latitude=taken.latitude, longitude=taken.longitude, taken_at=taken.at
        )
        sealed = self._vault.seal(entry.to_json(), belongs_to(photo_id))
        row = NewPhoto(photo_id, identity, photo_object, sealed, *photo.size, now)
        for _ in range(_TRIES):
            async with connected(self._host.pool) as connection:
                if await photos.keep(connection, row, MOST_PHOTOS):
                    return photo_id
            if await self._is_kept(identity, photo_id):
                return photo_id
        raise PhotosBusy


class ShowPhotos:
    """For whoever may see the report."""

    def __init__(self, host: ServiceHost, store: PhotoStore | None, vault: Vault) -> None:
        self._host = host
        self._store = store
        self._vault = vault

    async def of(self, identity: bytes) -> Sequence[KeptPhoto]:
        """The photos of a report."""
        async with connected(self._host.pool) as connection:
            return await photos.of_identity(connection, identity)

    async def picture(self, identity: bytes, photo_id: UUID, *, thumbnail: bool) -> bytes | None:
        """As JPEG; None where the report has no such photo, or it is lost. Raises StoreAway, and
        CannotOpen where a key is missing."""
        async with connected(self._host.pool) as connection:
            found = await photos.sealed_of(connection, identity, photo_id)
            if found is None or self._store is None:
                return None
            photo_object, sealed = found
            bodies, _ = await opened(connection, self._vault, {photo_id: sealed})
        if photo_id not in bodies:
            return None
        key = bytes.fromhex(PhotoEntry.model_validate_json(bodies[photo_id]).key)
        body = await self._store.get(photo_object, THUMBNAIL if thumbnail else PICTURE, key)
        if body is None:
            log.error("a picture is missing from the photo store or damaged", photo=str(photo_id))
        return body


class KeepFormPhotos:
    """Photos of a form that anybody may send: counted before they are looked at."""

    def __init__(self, keep: KeepPhotos, attempts: AttemptCounter, limits: PublicLimits) -> None:
        self._keep = keep
        self._attempts = attempts
        self._limits = limits

    async def __call__(
        self, identity: bytes, uploads: Sequence[Upload], client: str
    ) -> dict[int, Refusal]:
        """Which of them were refused, by their number from 1, and why; the others are kept."""
        refused: dict[int, Refusal] = {}
        for number, upload in enumerate(uploads, 1):
            attempts = self._limits.sending_photo(client)
            if await self._attempts.reserve_even_without_database(attempts):
                refused[number] = Refusal.NOT_NOW
                continue
            try:
                await self._keep(identity, upload)
            except PhotoRefused as error:
                refused[number] = error.why
            except (PhotosBusy, StoreAway, *DATABASE_ERRORS):
                refused[number] = Refusal.NOT_NOW
        return refused
