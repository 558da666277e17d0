"""Numbers for people, reserved in a transaction of their own before any lock is taken."""

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.dispatch.adapters.postgres import numbers as store
from lastmetre.dispatch.domain.numbers import DRAWN_BELOW, case_number, counted_day

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

REMEMBERED: Final = 10_000


class NumberReservations:
    """Reserves as many numbers as a batch needs, and commits that at once.

    The day's row is locked for one statement, not for the batch: processes do not wait for each
    other's batches. A batch that is tried again gets the numbers that it had, so that a number is
    lost only with its process.
    """

    def __init__(
        self, pool: "Callable[[], Pool]", draw: Callable[[int], int] = secrets.randbelow
    ) -> None:
        self._pool = pool
        self._draw = draw
        self._reserved: dict[UUID, str] = {}

    async def reserve(self, work: UnitOfWork, days: Mapping[UUID, date]) -> dict[UUID, str]:
        """A number for each of these reports, by the local day of each."""
        missing = [report_id for report_id in days if report_id not in self._reserved]
        if missing:
            await self._reserve({each: counted_day(days[each]) for each in missing})
        numbers = {report_id: self._reserved[report_id] for report_id in days}
        work.after_commit(lambda: self.forget(list(numbers)))
        for report_id in list(self._reserved)[: max(len(self._reserved) - REMEMBERED, 0)]:
            del self._reserved[report_id]
        return numbers

    async def _reserve(self, days: Mapping[UUID, date]) -> None:
        async with self._pool().acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            last = await store.reserve(connection, Counter(days.values()))
        for report_id, day in days.items():
            last[day] += 1
            self._reserved[report_id] = case_number(day, last[day], self._draw(DRAWN_BELOW))

    def forget(self, report_ids: Sequence[UUID]) -> None:
        """These numbers have been used, or cannot be."""
        for report_id in report_ids:
            self._reserved.pop(report_id, None)

    async def skip_used(self, days: Mapping[UUID, date]) -> None:
        """One of these reports' numbers is taken: count on behind every one that is.

        Seen only beside a build that counts a century apart.
        """
        self.forget(list(days))
        async with self._pool().acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            await store.skip_used(connection, {counted_day(day) for day in days.values()})
