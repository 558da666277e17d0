"""Photos whose report never came, and pictures that nobody needs any more, are removed."""

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.photo_store import PhotoStore, StoreAway
from lastmetre.intake.adapters.postgres import photos
from lastmetre.intake.adapters.postgres.pool import connected

log = structlog.get_logger()

WITHOUT_REPORT: Final = timedelta(days=1)
"""How long a photo waits for its report, and a picture that was being written for its row."""
_EVERY_SECONDS: Final = 60.0
_AT_ONCE: Final = 100


class RemovePhotos:
    """Deletes in the store what the database names, and nothing else: a database that was restored,
    or a wrong one, costs no picture. In every process: to delete twice is to delete."""

    def __init__(self, host: ServiceHost, store: PhotoStore) -> None:
        self._host = host
        self._store = store

    async def run(self) -> None:
        """Remove until cancelled; what fails is tried again the next time."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self()
            except (*DATABASE_ERRORS, StoreAway) as error:
                log.warning("removing photos waits", error=type(error).__name__)

    async def __call__(self) -> int:
        """Remove what may go now; returns how many pictures went."""
        before = self._host.clock.now() - WITHOUT_REPORT
        removed = 0
        async with connected(self._host.pool) as connection:
            await photos.forget_without_report(connection, before)
            while found := await photos.unused(connection, before, _AT_ONCE):
                for each in found:
                    await self._store.delete(each)
                await photos.deleted(connection, found)
                removed += len(found)
        return removed
