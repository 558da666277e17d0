"""Kafka in: the ledger, and what our own topics tell that the database has forgotten."""

from typing import Final

from lastmetre.common.contracts.topics import CASE_EVENTS, FEEDBACK, NOTIFY_DELIVERIES
from lastmetre.common.kafka import batches
from lastmetre.common.kafka.subscribers import Work
from lastmetre.common.service.host import ServiceHost
from lastmetre.notify.application.adopt_log import adopt_deliveries, adopt_feedback
from lastmetre.notify.application.ask_for_messages import AskForMessages

CASES_FLOW: Final = "cases"
SENDS_TO: Final = (NOTIFY_DELIVERIES, FEEDBACK)


class Consumers:
    """What notify subscribes to."""

    def __init__(self, ask_for_messages: AskForMessages) -> None:
        self._ask_for_messages = ask_for_messages

    def join(self, host: ServiceHost) -> None:
        """Declare the consumer, and what is adopted."""
        host.consume(CASES_FLOW, (CASE_EVENTS,), self.cases)
        host.publishes(NOTIFY_DELIVERIES, adopt_deliveries)
        host.publishes(FEEDBACK, adopt_feedback)

    async def cases(self, work: Work, records: batches.CaseEvents) -> None:
        """The events of a batch."""
        await self._ask_for_messages(work, records)
