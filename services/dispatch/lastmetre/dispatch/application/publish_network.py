"""The network as this process last loaded it, and its publication."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import structlog

from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.topics import NETWORK_AREAS
from lastmetre.common.kafka.area_changes import (
    AreaRemoved,
    decode_area_change,
    newest_of_each,
    removal,
)
from lastmetre.common.kafka.codec import ConsumedRecord, OutboxMessage, cloud_event
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.ids import IdGenerator
from lastmetre.dispatch.adapters.postgres import network as store
from lastmetre.dispatch.domain.network import Area, Network

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

SOURCE = "/dispatch"


class NetworkCache:
    """Keeps the prepared polygons of the version that decides."""

    def __init__(self) -> None:
        self._network = Network(0, [])

    async def current(self, connection: "Connection") -> Network:
        """The network of the version in the database, loaded anew only when that changed."""
        version = await store.network_version(connection)
        if version != self._network.version:
            self._network = Network(version, await store.areas(connection))
        return self._network


async def publish(
    work: UnitOfWork, new: Sequence[Area], identities: IdGenerator
) -> tuple[int, int, int]:
    """Make `new` the network and tell the others what changed.

    Returns how many areas were added, changed and removed; nothing at all happens if none.
    """
    version = await store.lock_network(work.connection)
    old = {area.area_id: area for area in await store.areas(work.connection)}
    added = [area for area in new if area.area_id not in old]
    changed = [area for area in new if area.area_id in old and area != old[area.area_id]]
    removed = sorted(old.keys() - {area.area_id for area in new})
    if not (added or changed or removed):
        return 0, 0, 0
    await store.replace_network(work.connection, version + 1, new)
    announced = [*(area.area_id for area in (*added, *changed)), *removed]
    await store.note_announced(work.connection, dict.fromkeys(announced, version + 1))
    traceparent = identities.traceparent()
    for outgoing in _announcements(work, version + 1, [*added, *changed], removed, traceparent):
        work.send(outgoing)
    return len(added), len(changed), len(removed)


async def adopt_areas(work: UnitOfWork, records: Sequence[ConsumedRecord]) -> int:
    """Take in areas that were announced by an import which the database has never heard of.

    Returns how many records were new. What of the import had not come to be on the topic is not
    known: it has to be imported again.
    """
    version = await store.lock_network(work.connection)
    known = {area.area_id: area for area in await store.areas(work.connection)}
    changes = newest_of_each(decode_area_change(record) for record in records)
    heard_of = await store.announced_versions(work.connection, [each.area_id for each in changes])
    areas, new = dict(known), {}
    for change in changes:
        area_id, announced_in = change.area_id, change.network_version
        if announced_in is not None:
            if announced_in <= heard_of.get(area_id, 0):
                continue
            new[area_id] = announced_in
        if isinstance(change, AreaRemoved):
            areas.pop(area_id, None)
        else:
            areas[area_id] = Area(area_id, change.name, change.town, change.outline, change.lead)
    changed = [key for key in areas.keys() | known.keys() if areas.get(key) != known.get(key)]
    if changed or new:
        newest = max(version, *new.values()) if new else version
        await store.replace_network(work.connection, newest, list(areas.values()))
        await store.note_announced(work.connection, new)
        log.error("the network is behind its topic: import it again", areas=len(changed))
    return len(changed)


def _announcements(
    work: UnitOfWork, version: int, areas: Sequence[Area], removed: Sequence[str], trace: str
) -> Iterator[OutboxMessage]:
    for area in areas:
        message = AreaPublished(
            area_id=area.area_id,
            name=area.name,
            town=area.town,
            outline=dict(area.outline),
            lead=area.lead,
            network_version=version,
        )
        yield cloud_event(
            message,
            topic=NETWORK_AREAS,
            key=area.area_id,
            event_id=f"{area.area_id}:{version}",
            source=SOURCE,
            occurred_at=work.now,
            recorded_at=work.now,
            traceparent=trace,
        )
    for area_id in removed:
        yield removal(area_id, version)
