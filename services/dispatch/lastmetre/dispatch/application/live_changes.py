"""Whether cases have changed, for pages that are open: whichever process committed it."""

from collections.abc import Mapping, Sequence
from typing import Final

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.live_changes import CannotTell
from lastmetre.dispatch.adapters.postgres import held_actions

CASES: Final = "cases"
"""What pages wait for: all cases together."""


class LookForChanges:
    """How far the ledger has got, what is held, and who looks at what."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host

    async def __call__(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The same for each of `keys`. Raises CannotTell while database or Kafka are away."""
        try:
            async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                mark = await held_actions.change_mark(connection, CASE_EVENTS)
        except DATABASE_ERRORS as error:
            raise CannotTell from error
        if self._host.relay.missing():
            raise CannotTell
        return dict.fromkeys(keys, repr(mark))
