"""The latest messages of all cases, as staff look for one that did not arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.notify.adapters.postgres import message_log as store

ROWS: Final = 100
COUNTED: Final = timedelta(days=7)
WAITING: Final = "waiting"
STATES: Final = (WAITING, *(result.value for result in DeliveryResult))


@dataclass(frozen=True, slots=True)
class LogPage:
    """Messages, newest first, and how many there are of each state."""

    rows: Sequence[Mapping[str, Any]]
    more: bool
    waiting: Mapping[str, int]
    counts: Mapping[str, int]


class ReadLog:
    """Reads the latest messages before an instant, all or those in one state."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, state: str, before: datetime | None) -> LogPage:
        """At most `ROWS` messages in `state`, or in all where it is none of `STATES`."""
        wanted = state if state in STATES else ""
        rows: list[Any] = []
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            waiting = await store.waiting_counts(connection)
            if wanted in ("", WAITING) and before is None:
                rows += await store.latest_waiting(connection, ROWS)
            if wanted != WAITING:
                results = [wanted] if wanted else [each.value for each in DeliveryResult]
                rows += await store.latest_done(connection, results, before, ROWS)
            counts = await store.done_counts(connection, self._host.clock.now() - COUNTED)
        return LogPage(
            rows[:ROWS], len(rows) >= ROWS, waiting, counts | {WAITING: waiting["waiting"]}
        )
