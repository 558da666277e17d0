"""What all fakes share: the seed's random numbers, the trace, and processes that can be struck."""

import asyncio
from contextvars import ContextVar
from random import Random
from typing import Any

SLOWEST_HOP = 0.03


class World:
    """One run's random source and its trace. Everything is drawn from `random`, in one order."""

    def __init__(self, seed: int, *, tracing: bool = False) -> None:
        self.random = Random(seed)
        self.tracing = tracing
        self.trace: list[str] = []
        self.complaints: list[str] = []
        self.ended_because: list[str] = []
        self.topic_made_anew = False

    def tell(self, what: str, /, **details: Any) -> None:
        """Note an event for the trace."""
        if self.tracing:
            now = asyncio.get_running_loop().time()
            told = " ".join(f"{name}={value}" for name, value in details.items())
            self.trace.append(f"{now:9.3f} {what} {told}")

    def complain(self, what: str) -> None:
        """Something that must never be was seen while the run went on."""
        self.complaints.append(what)
        self.tell("COMPLAINT", what=what)


class Machine:
    """What a process is to the fakes: it may be frozen, or dead."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.dead = False
        self._thawed = asyncio.Event()
        self._thawed.set()

    def __str__(self) -> str:
        """Its name."""
        return self.name

    @property
    def frozen(self) -> bool:
        """Whether it stands still, and believes what it believed."""
        return not self._thawed.is_set()

    def freeze(self) -> None:
        """SIGSTOP."""
        self._thawed.clear()

    def thaw(self) -> None:
        """SIGCONT."""
        self._thawed.set()

    async def hop(self) -> None:
        """Each await of a fake: a drawn time passes; a dead process never comes back from it."""
        self.check()
        await asyncio.sleep(self.world.random.random() * SLOWEST_HOP)
        if not self._thawed.is_set():
            await self._thawed.wait()
        self.check()

    def check(self) -> None:
        """What a dead process does has no effect."""
        if self.dead:
            raise asyncio.CancelledError

    def die(self) -> None:
        """At once, without draining."""
        raise NotImplementedError

    def terminate(self) -> None:
        """SIGTERM."""
        raise NotImplementedError


CURRENT: ContextVar[Machine] = ContextVar("CURRENT")
"""The process whose code is running."""
