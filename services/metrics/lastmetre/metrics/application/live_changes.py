"""Whether the board's figures may have changed, while it is open: whichever process committed."""

from collections.abc import Mapping, Sequence
from typing import Final

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.live_changes import CannotTell
from lastmetre.metrics.adapters.postgres.board import change_mark

BOARD: Final = "board"
"""What pages wait for: all figures together."""


class LookForChanges:
    """How far the topics have been read, and which facts are the live ones."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The same for each of `keys`. Raises CannotTell while database or Kafka are away."""
        try:
            async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                mark = await change_mark(connection)
        except DATABASE_ERRORS as error:
            raise CannotTell from error
        if self._host.consumers_missing():
            raise CannotTell
        return dict.fromkeys(keys, repr(mark))
