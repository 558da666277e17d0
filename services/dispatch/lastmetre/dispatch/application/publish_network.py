"""The network of areas: replaced, and announced to the others."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.topics import NETWORK_AREAS
from lastmetre.common.kafka.area_changes import removal
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.service.ids import IdGenerator
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.postgres import cases
from lastmetre.dispatch.adapters.postgres import network as store
from lastmetre.dispatch.application.events import SOURCE
from lastmetre.dispatch.application.transactions import own_transaction
from lastmetre.dispatch.domain.network import Area

NAMED: Final = 20
"""So many areas are named to whoever sends one twice."""


@dataclass(frozen=True, slots=True)
class Published:
    """What an import of the network changes."""

    added: int
    changed: int
    removed: int
    open_cases_left: Mapping[str, int]
    """Of each lead who has no area in it any more: his open cases stay with him."""


class _DryRun(Exception):
    """Nothing of it is to stay."""

    def __init__(self, published: Published) -> None:
        super().__init__()
        self.published = published


class PublishNetwork:
    """The network replaced as a whole, by whoever may."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, areas: Sequence[Area], *, dry_run: bool) -> Published:
        """Replace the network; with `dry_run`, only count what would change.

        Raises Problem 422 if an area is there twice.
        """
        twice = [area_id for area_id, n in Counter(a.area_id for a in areas).items() if n > 1]
        if twice:
            raise Problem(
                422,
                "/problems/area-twice",
                N_("An area is there twice"),
                extra={"area_ids": sorted(twice)[:NAMED]},
            )
        try:
            async with own_transaction(self._host) as work:
                published = await publish(work, areas, self._host.identities)
                if dry_run:
                    raise _DryRun(published)
        except _DryRun as counted:
            return counted.published
        return published


async def publish(work: UnitOfWork, new: Sequence[Area], identities: IdGenerator) -> Published:
    """Make `new` the network and tell the others what changed: nothing at all if nothing did."""
    version = await store.lock_network(work.connection)
    old = {area.area_id: area for area in await store.areas(work.connection)}
    added = [area for area in new if area.area_id not in old]
    changed = [area for area in new if area.area_id in old and area != old[area.area_id]]
    removed = sorted(old.keys() - {area.area_id for area in new})
    leads = sorted({area.lead.lead_id for area in new if area.lead})
    left = await cases.open_counts_of_others(work.connection, leads)
    if not (added or changed or removed):
        return Published(0, 0, 0, left)
    await store.replace_network(work.connection, version + 1, new)
    announced = [*(area.area_id for area in (*added, *changed)), *removed]
    await store.note_announced(work.connection, dict.fromkeys(announced, version + 1))
    traceparent = identities.traceparent()
    for outgoing in _announcements(work, version + 1, [*added, *changed], removed, traceparent):
        work.send(outgoing)
    return Published(len(added), len(changed), len(removed), left)


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
