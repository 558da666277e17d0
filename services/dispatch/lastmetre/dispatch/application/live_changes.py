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
        self._changed = asyncio.Condition()
        self._knows = True

    async def run(self) -> None:
        """As long as the service runs."""
        while True:
            if self._waiting:
                await self._look()
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _look(self) -> None:
        try:
            async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                mark = await held_actions.change_mark(connection, CASE_EVENTS)
            knows = not self._host.relay.missing()
        except DATABASE_ERRORS as error:
            log.warning("changes cannot be looked for", error=type(error).__name__)
            mark, knows = self._mark, False
        if mark != self._mark or not knows:
            async with self._changed:
                self._mark, self._knows = mark, knows
                self._version += 1
                self._changed.notify_all()
        else:
            self._knows = True

    async def after(self, version: int, seconds: float) -> int:
        """The version as soon as it is another one, else after so many seconds.

        Raises CannotTell while database or Kafka are away.
        """
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds), self._changed:
                    await self._changed.wait_for(lambda: self._version != version)
        finally:
            self._waiting -= 1
        if not self._knows:
            raise CannotTell
        return self._version
