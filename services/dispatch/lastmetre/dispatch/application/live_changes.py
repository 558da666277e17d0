"""Tells this process's pages that cases have changed, whichever process committed it."""

import asyncio
from contextlib import suppress
from typing import Final

import structlog

from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import held_actions

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 1.0


class CannotTell(Exception):
    """Whether anything has changed is not known: a page must not look as if it were live."""


class LiveChanges:
    """One look a second at how far the ledger has got, while anybody's page waits for it."""

    def __init__(self, host: ServiceHost) -> None:
        self._host = host
        self._mark: tuple[object, ...] = ()
        self._version = 0
        self._waiting = 0
        self._changed = asyncio.Event()
        """Of the present version: set, and another one made, when it is no more."""
        self._knows = True
        self._ended = False
        host.when_told_to_stop(self.end)

    async def run(self) -> None:
        """As long as the service runs."""
        while True:
            if self._waiting:
                await self._look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def end(self) -> None:
        """Nobody waits here any more: the process is to end."""
        self._ended = True
        self._next_version()

    async def _look(self) -> None:
        try:
            async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                mark = await held_actions.change_mark(connection, CASE_EVENTS)
            knows = not self._host.relay.missing()
        except DATABASE_ERRORS as error:
            log.warning("changes cannot be looked for", error=type(error).__name__)
            mark, knows = self._mark, False
        another = mark != self._mark or not knows
        self._mark, self._knows = mark, knows
        if another:
            self._next_version()

    def _next_version(self) -> None:
        self._version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def after(self, version: int, seconds: float) -> int:
        """The version as soon as it is another one, else after so many seconds.

        Raises CannotTell while database or Kafka are away, and once the process is to end.
        """
        self._waiting += 1
        try:
            if self._version == version and not self._ended:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._changed.wait()
        finally:
            self._waiting -= 1
        if self._ended or not self._knows:
            raise CannotTell
        return self._version
