"""Counts attempts before they are made: what is asked together is counted together."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.clock import Clock
from lastmetre.intake.adapters.postgres import attempts as store
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.domain.attempts import LONGEST_WINDOW, Attempt, Limit

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection, Pool

COUNTED_WITHOUT_DATABASE: Final = 10_000

_Window = tuple[str, bytes, datetime]


class AttemptCounter:
    """Reserves attempts in the database, so that all processes have one count.

    `digest` is keyed: what is kept is neither a phone nor an address. `clock` is the real one.
    """

    def __init__(
        self, pool: "Callable[[], Pool]", digest: Callable[[bytes], bytes], clock: Clock
    ) -> None:
        self._pool = pool
        self._digest = digest
        self._clock = clock
        self._without_database: Counter[_Window] = Counter()

    async def reserve(self, attempts: Sequence[Attempt]) -> Limit | None:
        """Count one for each, in order; returns the first limit that is passed, else None.

        Behind a limit that is passed nothing is counted: what somebody invents costs no rows. What
        was counted before it is taken back: one client alone passes no limit of all.
        """
        now = self._clock.now()
        async with connected(self._pool()) as connection:
            await store.forget_before(connection, now - 2 * LONGEST_WINDOW)
            for at, attempt in enumerate(attempts):
                made = await store.count(connection, *self._window(attempt, now), 1)
                if made > attempt.limit.most:
                    await self._take_back(connection, attempts[:at], now)
                    return attempt.limit
        return None

    async def release(self, attempts: Sequence[Attempt]) -> None:
        """They came off, and count no more."""
        async with connected(self._pool()) as connection:
            await self._take_back(connection, attempts, self._clock.now())

    async def _take_back(
        self, connection: "Connection", attempts: Sequence[Attempt], now: datetime
    ) -> None:
        for attempt in attempts:
            await store.count(connection, *self._window(attempt, now), -1)

    async def reserve_even_without_database(self, attempts: Sequence[Attempt]) -> Limit | None:
        """As `reserve`; while the database is away this process counts by itself."""
        try:
            return await self.reserve(attempts)
        except DATABASE_ERRORS:
            return self._reserve_here(attempts, self._clock.now())

    async def release_even_without_database(self, attempts: Sequence[Attempt]) -> None:
        """As `release`, of what `reserve_even_without_database` has counted."""
        try:
            await self.release(attempts)
        except DATABASE_ERRORS:
            now = self._clock.now()
            self._without_database -= Counter(self._window(each, now) for each in attempts)

    def _reserve_here(self, attempts: Sequence[Attempt], now: datetime) -> Limit | None:
        windows = [(attempt.limit, self._window(attempt, now)) for attempt in attempts]
        over = now - 2 * LONGEST_WINDOW
        for window in [each for each in self._without_database if each[2] < over]:
            del self._without_database[window]
        for at, (limit, window) in enumerate(windows):
            unknown = window not in self._without_database
            full = unknown and len(self._without_database) >= COUNTED_WITHOUT_DATABASE
            if not full:
                self._without_database[window] += 1
            if full or self._without_database[window] > limit.most:
                self._without_database.subtract(each for _, each in windows[:at])
                return limit
        return None

    def _window(self, attempt: Attempt, now: datetime) -> _Window:
        limit = attempt.limit
        counted = self._digest(f"{limit.kind}\0{attempt.about}".encode())
        return limit.kind, counted, limit.window_at(now)
