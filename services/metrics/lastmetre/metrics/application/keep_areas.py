"""The areas are kept as they are published."""

from collections.abc import Sequence

from pydantic_core import to_json

from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.kafka.area_changes import AreaChange, AreaRemoved, newest_of_each
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.postgres.area_removals import remove_areas
from lastmetre.metrics.adapters.postgres.report_and_message_counts import Area, put_areas


class KeepAreas:
    """In the batch's transaction; of each area the highest version counts."""

    async def __call__(self, work: UnitOfWork, changes: Sequence[AreaChange]) -> None:
        """Take in what was published and removed."""
        newest = newest_of_each(changes)
        if removed := [each for each in newest if isinstance(each, AreaRemoved)]:
            await remove_areas(work.connection, removed)
        if published := [_area(each) for each in newest if isinstance(each, AreaPublished)]:
            await put_areas(work.connection, published)


def _area(area: AreaPublished) -> Area:
    lead = area.lead
    return Area(
        area.area_id,
        area.name.zh,
        area.name.en,
        lead.lead_id if lead else None,
        lead.name.zh if lead else None,
        lead.name.en if lead else None,
        to_json(area.outline).decode(),
        area.network_version,
    )
