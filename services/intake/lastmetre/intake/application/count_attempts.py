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
    from lastmetre.common.postgres.database import Pool

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

        Behind a limit that is passed nothing is counted: what somebody invents costs no rows.
        """
        now = self._clock.now()
        async with connected(self._pool()) as connection:
            await store.forget_before(connection, now - 2 * LONGEST_WINDOW)
            for attempt in attempts:
                made = await store.count(connection, *self._window(attempt, now), 1)
                if made > attempt.limit.most:
                    return attempt.limit
        return None

    async def release(self, attempts: Sequence[Attempt]) -> None:
        """They came off, and count no more."""
        now = self._clock.now()
        async with connected(self._pool()) as connection:
            for attempt in attempts:
                await store.count(connection, *self._window(attempt, now), -1)

    async def reserve_even_without_database(self, attempts: Sequence[Attempt]) -> Limit | None:
        """As `reserve`; while the database is away this process counts by itself."""
        try:
            return await self.reserve(attempts)
        except DATABASE_ERRORS:
            return self._reserve_here(attempts, self._clock.now())

    def _reserve_here(self, attempts: Sequence[Attempt], now: datetime) -> Limit | None:
        windows = [(attempt.limit, self._window(attempt, now)) for attempt in attempts]
        over = now - 2 * LONGEST_WINDOW
        for window in [each for each in self._without_database if each[2] < over]:
            del self._without_database[window]
        for limit, window in windows:
            unknown = window not in self._without_database
            if unknown and len(self._without_database) >= COUNTED_WITHOUT_DATABASE:
                return limit
            self._without_database[window] += 1
            if self._without_database[window] > limit.most:
                return limit
        return None

    def _window(self, attempt: Attempt, now: datetime) -> _Window:
        limit = attempt.limit
        counted = self._digest(f"{limit.kind}\0{attempt.about}".encode())
        return limit.kind, counted, limit.window_at(now)
