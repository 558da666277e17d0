"""Screens on walls: registered by staff of the centre, signed in by a link that is good once."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from uuid import UUID

from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.ids import IdGenerator
from lastmetre.intake.adapters.postgres import staff_sessions as store
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.application.staff_sessions import (
    Begun,
    StaffSessions,
    browser_name,
    digest_of,
)
from lastmetre.intake.domain.staff_sessions import (
    DISPLAY_IDLE,
    DISPLAY_LINK_LIFETIME,
    DISPLAY_LONGEST,
    SignedInBy,
    StaffSession,
)

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

_LINK: Final = "display link\0"
"""Before the secret of a link, in what its digest is of: it is no session's cookie."""


class DisplayExists(Exception):
    """A screen of that name is signed in, or may be in a moment."""


class WallDisplays:
    """A screen's session is kept from its registration on; its link puts a secret of its own there.

    `new_secret` draws at least 128 random bits; `clock` is the real one.
    """

    def __init__(
        self,
        pool: "Callable[[], Pool]",
        sessions: StaffSessions,
        clock: Clock,
        new_secret: Callable[[], str],
    ) -> None:
        self._pool = pool
        self._sessions = sessions
        self._clock = clock
        self._new_secret = new_secret
        self._identities = IdGenerator()

    async def register(self, name: str, registered_by: str) -> str:
        """The secret of the link for a new screen of that name. Raises DisplayExists."""
        if any(each.staff.subject == name for each in await self.all()):
            raise DisplayExists
        now, secret = self._clock.now(), self._new_secret()
        session = StaffSession(
            session_id=self._identities.uuid7(now),
            staff=StaffMember(name, (Role.DISPLAY,), None),
            signed_in_by=SignedInBy.DISPLAY,
            browser="",
            at_provider=None,
            begun_at=now,
            used_at=now,
            idle_ends_at=now + DISPLAY_LINK_LIFETIME,
            ends_at=now + DISPLAY_LONGEST,
            registered_by=registered_by,
        )
        async with connected(self._pool()) as connection:
            await store.put(connection, session, digest_of(_LINK + secret))
        return secret

    async def behind_link(self, secret: str) -> StaffSession | None:
        """The screen whose link that is, while it may be opened."""
        async with connected(self._pool()) as connection:
            session = await store.by_secret(connection, digest_of(_LINK + secret))
        return session if session and session.holds(self._clock.now()) else None

    async def open(self, secret: str, browser: str, instead_of: str) -> Begun | None:
        """Sign the screen in that shows this; None if the link was opened before or is over. The
        session that the browser had (its secret) ends."""
        session = await self.behind_link(secret)
        if session is None:
            return None
        now, own_secret = self._clock.now(), self._new_secret()
        session = replace(session.used(now, DISPLAY_IDLE), browser=browser_name(browser))
        async with connected(self._pool()) as connection, connection.transaction():
            digests = digest_of(_LINK + secret), digest_of(own_secret)
            if not await store.open_display(connection, session, *digests):
                return None
            before = await store.by_secret(connection, digest_of(instead_of))
            if before is not None:
                await store.revoke(connection, [before.session_id], now)
        return Begun(own_secret, self._sessions.with_token(session, now))

    async def all(self) -> list[StaffSession]:
        """Those that are signed in, or may be in a moment, by name."""
        async with connected(self._pool()) as connection:
            found = await store.displays(connection)
        now = self._clock.now()
        return [each for each in found if each.holds(now)]

    async def revoke(self, session_id: UUID) -> StaffSession | None:
        """Sign that screen out; None if there is none."""
        found = next((each for each in await self.all() if each.session_id == session_id), None)
        if found is not None:
            async with connected(self._pool()) as connection:
                await store.revoke(connection, [session_id], self._clock.now())
        return found
