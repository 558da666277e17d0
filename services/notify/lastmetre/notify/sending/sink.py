"""A way out that leads nowhere, for load tests."""

from collections.abc import Sequence
from typing import ClassVar

from lastmetre.notify.sending.letters import SENT, Letter, Outcome


class SinkProvider:
    """Counts the letters and forgets them."""

    name: ClassVar[str] = "sink"
    repeatable: ClassVar[bool] = True
    at_once: ClassVar[int] = 2000
    together: ClassVar[int] = 500

    def __init__(self) -> None:
        self.taken = 0

    async def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """All of them are through at once."""
        self.taken += len(letters)
        return [SENT] * len(letters)

    async def close(self) -> None:
        """Nothing to let go of."""
