"""How far a tool has come, for whoever waits for it."""

import time
from typing import Final, TextIO

EVERY_SECONDS: Final = 1.0


class Progress:
    """Told at most once a second, as `read 200/5000`, on a stream of its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told_at = 0.0

    def tell(self, what: str, done: int, total: int) -> None:
        """Tell it, if it is time to."""
        now = time.monotonic()
        if now - self._told_at >= EVERY_SECONDS:
            self._told_at = now
            self._stream.write(f"{what} {done}/{total}\n")
            self._stream.flush()
