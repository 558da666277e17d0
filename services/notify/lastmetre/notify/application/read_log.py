"""The messages of all cases, as staff look for one that did not arrive."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.service.host import ServiceHost
from lastmetre.notify.adapters.postgres import message_log as store
from lastmetre.notify.domain.stored_messages import LogPlace, StoredMessage

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

ROWS: Final = 100
COUNTED: Final = timedelta(days=7)
WAITING: Final = "waiting"
RESULTS: Final = tuple(result.value for result in DeliveryResult)
STATES: Final = (WAITING, *RESULTS)


@dataclass(frozen=True, slots=True)
class LogPage:
    """Messages, those on their way first, and how many there are of each state.

    `counts` are of those on their way and of the others of the last `COUNTED`; of all messages
    where a case was asked for. `held_up` is how many were tried in vain. `behind` is where the
    next page begins; None if this is the last one.
    """

    messages: Sequence[StoredMessage]
    counts: Mapping[str, int]
    held_up: int = 0
    behind: LogPlace | None = None


class ReadLog:
    """Reads the log a page at a time."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(
        self, state: str = "", number: str = "", behind: LogPlace | None = None
    ) -> LogPage:
        """At most `ROWS` messages in `state`, or in all where it is none of `STATES`, or all of
        the case with that number, however it is typed."""
        wanted = state if state in STATES else ""
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            if number:
                return await _of_case(connection, wanted, number)
            messages = await _page(connection, wanted, behind)
            waiting = await store.waiting_counts(connection)
            ended = await store.ended_counts(connection, self._host.clock.now() - COUNTED)
        more = len(messages) > ROWS
        return LogPage(
            messages[:ROWS],
            {WAITING: waiting.messages} | ended,
            waiting.held_up,
            messages[ROWS - 1].place if more else None,
        )


async def _page(
    connection: "Connection", wanted: str, behind: LogPlace | None
) -> list[StoredMessage]:
    """One more than a page holds, if there are more."""
    found: list[StoredMessage] = []
    if wanted in ("", WAITING) and (behind is None or behind.waits):
        found += await store.waiting_from(connection, behind, ROWS + 1)
        behind = None
    if wanted != WAITING and len(found) <= ROWS:
        results = [wanted] if wanted else RESULTS
        found += await store.ended_from(connection, results, behind, ROWS + 1 - len(found))
    return found


async def _of_case(connection: "Connection", wanted: str, number: str) -> LogPage:
    read = read_case_number(number)
    case_id = await store.case_numbered(connection, read) if read else None
    messages = await store.messages_of(connection, case_id) if case_id else []
    states = [each.state if each.asked_at is None else WAITING for each in messages]
    shown = [each for each, state in zip(messages, states, strict=True) if wanted in ("", state)]
    return LogPage(sorted(shown, key=_newest_first), Counter(states))


def _newest_first(message: StoredMessage) -> tuple[bool, float]:
    return message.asked_at is None, -message.occurred_at.timestamp()
