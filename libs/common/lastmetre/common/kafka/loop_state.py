"""Whether a loop is alive: it works, or it waits and says for what."""

import asyncio


class LoopState:
    """The state of one loop. Liveness fails only for one that neither works nor waits."""

    def __init__(self) -> None:
        self.waiting_for: str | None = None
        self._since: float | None = None

    def works(self) -> None:
        """A sign of life: it waits for nothing now."""
        self.waiting_for = None
        self._since = asyncio.get_running_loop().time()

    def waits(self, reason: str) -> None:
        """A sign of life as well: it will look again."""
        self.waiting_for = reason
        self._since = asyncio.get_running_loop().time()

    def ended(self) -> None:
        """It is not to run any more."""
        self.waiting_for = self._since = None

    def silent_seconds(self) -> float:
        """Since the last sign of life; 0 before the first and after the end."""
        if self._since is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._since
