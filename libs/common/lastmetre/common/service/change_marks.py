"""Whether anything has changed that open pages show, whichever process committed it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.live_changes import CannotTell

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

ReadMark = Callable[["Connection"], Awaitable[object]]
"""A value that is another one as soon as anything has changed."""


class LookForChanges:
    """One mark in the database for all that the pages wait for."""

    def __init__(
        self, host: ServiceHost, read_mark: ReadMark, missing: Callable[[], object]
    ) -> None:
        """`missing` says what keeps changes from this database; nothing while they come."""
        self._host = host
        self._read_mark = read_mark
        self._missing = missing

    async def __call__(self, keys: Sequence[str]) -> Mapping[str, str]:
        """The same for each of `keys`. Raises CannotTell while database or Kafka are away."""
        try:
            async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                mark = await self._read_mark(connection)
        except DATABASE_ERRORS as error:
            raise CannotTell from error
        if self._missing():
            raise CannotTell
        return dict.fromkeys(keys, repr(mark))
