"""Whether a topic is still the one that is read, asked now and then beside the polls."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from uuid import UUID

from lastmetre.common.kafka.ports import BrokerError, ConsumerClient

COMPARE_SECONDS: Final = 1.0


class TopicComparison:
    """Asks without waiting: a broker that stands still holds up its own partitions only."""

    def __init__(self) -> None:
        self._asked: asyncio.Task[Mapping[str, UUID]] | None = None
        self._answered_at = 0.0

    async def answer(self, client: ConsumerClient) -> Mapping[str, UUID]:
        """The ids of the topics if they have just come, else none. Asks if it is time to."""
        now = asyncio.get_running_loop().time()
        if self._asked is None:
            if now - self._answered_at >= COMPARE_SECONDS:
                self._asked = asyncio.create_task(client.topic_ids())
                self._asked.add_done_callback(_look_at)
            return {}
        if not self._asked.done():
            return {}
        asked, self._asked, self._answered_at = self._asked, None, now
        with suppress(BrokerError):
            return await asked
        return {}

    async def end(self) -> None:
        """Ask no more."""
        asked, self._asked = self._asked, None
        if asked is not None:
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)


def _look_at(answer: asyncio.Task[Mapping[str, UUID]]) -> None:
    # Also where nobody waits for it any more: asyncio would report it as forgotten.
    if not answer.cancelled():
        answer.exception()
