"""A way out that leads nowhere, for load tests."""

from collections.abc import Sequence
from typing import ClassVar

from lastmetre.notify.domain.provider import SENT, OutboundMessage, Outcome


class SinkProvider:
    """Counts the messages and forgets them."""

    name: ClassVar[str] = "sink"
    repeatable: ClassVar[bool] = True
    max_in_flight: ClassVar[int] = 2000
    batch_size: ClassVar[int] = 500

    def __init__(self) -> None:
        self.taken = 0

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """All of them are through at once."""
        self.taken += len(messages)
        return [SENT] * len(messages)

    async def close(self) -> None:
        """Nothing to let go of."""
