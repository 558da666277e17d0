"""Tells this process's pages what has changed, whichever process committed it."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import Final, Generic, TypeVar

import structlog

log = structlog.get_logger()

LOOK_EVERY_SECONDS: Final = 1.0

Key = TypeVar("Key", bound=Hashable)
Look = Callable[[Sequence[Key]], Awaitable[Mapping[Key, str]]]
"""The present version of each of these; another one as soon as anything of it is another. Raises
CannotTell."""


class CannotTell(Exception):
    """Whether anything has changed is not known: a page must not look as if it were live."""


class LiveChanges(Generic[Key]):
    """One look a second for all that pages of this process wait for; none while nobody waits."""

    def __init__(self, look: Look[Key]) -> None:
        self._look = look
        self._waiting: defaultdict[Key, set[_Waiting]] = defaultdict(set)
        self._ended = False

    async def run(self) -> None:
        """As long as the service runs."""
        while True:
            if self._waiting:
                await self._tell(list(self._waiting))
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    def end(self) -> None:
        """The process is told to stop: nobody waits any more, and whoever begins to is told so."""
        self._ended = True
        self._nobody_knows(self._waiting)

    async def after(self, key: Key, seen: str | None, seconds: float) -> str:
        """The version of `key` as soon as it is another than `seen`, else `seen` after so many
        seconds. Raises CannotTell, too, where nothing was seen until then and when the process is
        told to stop."""
        if self._ended:
            raise CannotTell
        waiting = _Waiting(seen)
        self._waiting[key].add(waiting)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    return await waiting.changed
        finally:
            self._waiting[key].discard(waiting)
            if not self._waiting[key]:
                del self._waiting[key]
        if seen is None:
            raise CannotTell
        return seen

    async def _tell(self, keys: Sequence[Key]) -> None:
        try:
            versions = await self._look(keys)
        except CannotTell as error:
            log.warning("changes cannot be looked for", error=type(error.__cause__).__name__)
            self._nobody_knows(keys)
            return
        for key in keys:
            for each in self._waiting.get(key, ()):
                each.tell(versions[key])

    def _nobody_knows(self, keys: Sequence[Key] | Mapping[Key, object]) -> None:
        for key in keys:
            for each in self._waiting.get(key, ()):
                each.fail()


class _Waiting:
    """One page's wait for another version than it has seen."""

    def __init__(self, seen: str | None) -> None:
        self._seen = seen
        self.changed: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def tell(self, version: str) -> None:
        if version != self._seen and not self.changed.done():
            self.changed.set_result(version)

    def fail(self) -> None:
        if not self.changed.done():
            self.changed.set_exception(CannotTell())
