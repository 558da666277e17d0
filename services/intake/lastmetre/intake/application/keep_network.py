"""The network of areas as dispatch publishes it: kept, and known to the pages."""

import time
from collections.abc import Mapping, Sequence
from typing import Final

from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.kafka.area_changes import AreaChange, AreaRemoved, newest_of_each
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.postgres.area_removals import remove_areas
from lastmetre.common.service.host import ServiceHost
from lastmetre.intake.adapters.postgres import areas
from lastmetre.intake.adapters.postgres.pool import connected

LOOK_EVERY_SECONDS: Final = 3.0


async def keep_network(work: UnitOfWork, changes: Sequence[AreaChange]) -> None:
    """Keep the areas as they are published now; the highest version of each counts."""
    newest = newest_of_each(changes)
    if removed := [each for each in newest if isinstance(each, AreaRemoved)]:
        await remove_areas(work.connection, removed)
    if published := [each for each in newest if isinstance(each, AreaPublished)]:
        await areas.put(work.connection, published)


class PublishedNetwork:
    """The areas that are kept, read anew only when they have changed."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host
        self._stamp: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._areas: Mapping[str, AreaPublished] = {}

    async def __call__(self) -> Mapping[str, AreaPublished]:
        """By id, as they stood a few seconds ago at most; the same object while nothing changes."""
        if time.monotonic() - self._looked_at < LOOK_EVERY_SECONDS:
            return self._areas
        async with connected(self._host.pool) as connection:
            stamp = await areas.stamp(connection)
            if stamp != self._stamp:
                found = await areas.everything(connection)
                self._areas = {area.area_id: area for area in found}
                self._stamp = stamp
        self._looked_at = time.monotonic()
        return self._areas
