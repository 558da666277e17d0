"""Messages are counted by what became of them, a batch at a time."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from lastmetre.common.contracts.deliveries import MessageDelivered
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.metrics.adapters.postgres.report_and_message_counts import Message, add_messages


class CountMessages:
    """In the batch's transaction; each message counts once. `zone` is the city's."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone

    async def __call__(self, work: UnitOfWork, delivered: Sequence[MessageDelivered]) -> None:
        """A message counts on the local day of its result."""
        counted = [
            Message(
                each.message_id,
                each.occurred_at.astimezone(self._zone).date(),
                each.recipient,
                each.provider,
                each.result,
            )
            for each in delivered
        ]
        if counted:
            await add_messages(work.connection, counted)
