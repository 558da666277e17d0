"""Events of a case on their way: onto `case.events`, and into the ledger."""

from collections.abc import Sequence
from typing import Final

from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import cloud_event
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.dispatch.adapters.postgres.ledger import LedgerEntry

SOURCE: Final = "/dispatch"
"""The CloudEvents source of what dispatch says."""


def append_events(
    work: UnitOfWork, events: Sequence[CaseEvent], traceparent: str
) -> list[LedgerEntry]:
    """Put events of one case onto their topic; returns them as the ledger is to keep them."""
    key = str(events[0].case_id)
    entries: list[LedgerEntry] = []
    for event in events:
        message = cloud_event(
            event,
            topic=CASE_EVENTS,
            key=key,
            event_id=f"{key}:{event.seq}",
            source=SOURCE,
            occurred_at=event.occurred_at,
            recorded_at=event.recorded_at,
            traceparent=traceparent,
        )
        work.send(message)
        entries.append(LedgerEntry(event, message.value or b"", traceparent))
    return entries
