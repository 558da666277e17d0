"""Who has a case open beside oneself."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.callers import Person
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost
from lastmetre.dispatch.adapters.postgres import held_actions

GONE_AFTER: Final = timedelta(seconds=11)
"""Twice as long as a stream takes to look again."""


class NoteViewers:
    """Keeps who looks at what for a few seconds. `clock` is a real one: people look in real time,
    whatever time it is in the city."""

    def __init__(self, host: ServiceHost, clock: Clock) -> None:
        self._host = host
        self._clock = clock

    async def __call__(self, case_id: UUID, person: Person) -> list[str]:
        """Note that this person has the case open; returns the names of the others who have."""
        now = self._clock.now()
        async with self._host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            await held_actions.note_viewer(connection, case_id, person.actor, now, GONE_AFTER)
            viewers = await held_actions.viewers(connection, case_id, now - GONE_AFTER)
        return [each.partition(":")[2] for each in viewers if each != person.actor]
