"""Sessions of staff: begun by a sign-in, renewed while they are used, ended by him or by others."""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from uuid import UUID

from lastmetre.common.security.access_tokens import AccessTokenSigner
from lastmetre.common.security.callers import Role, StaffMember
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.ids import IdGenerator
from lastmetre.common.text import one_line
from lastmetre.intake.adapters.postgres import staff_sessions as store
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.domain.staff_sessions import (
    AtProvider,
    Lifetimes,
    SignedInBy,
    StaffSession,
)

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

KEPT_AFTER_THE_END: Final = timedelta(days=30)
_BROWSER_LENGTH: Final = 200


class SignIn(NamedTuple):
    """Somebody whose identity was just proved, and where he is."""

    staff: StaffMember
    by: SignedInBy
    browser: str
    at_provider: AtProvider | None = None


class Renewed(NamedTuple):
    """A session that goes on, with a new access token."""

    session: StaffSession
    access_token: str
    access_seconds: int


class Begun(NamedTuple):
    """A new session: `secret` is for the browser alone, and kept nowhere else."""

    secret: str
    renewed: Renewed


class StaffSessions:
    """What is kept in the database; the secret stands there as a digest only.

    `new_secret` draws at least 128 random bits; `clock` is the real one.
    """

    def __init__(
        self,
        pool: "Callable[[], Pool]",
        signer: AccessTokenSigner,
        clock: Clock,
        lifetimes: dict[SignedInBy, Lifetimes],
        access_lifetime: timedelta,
        new_secret: Callable[[], str],
    ) -> None:
        self._pool = pool
        self._signer = signer
        self._clock = clock
        self._lifetimes = lifetimes
        self._access_lifetime = access_lifetime
        self._new_secret = new_secret
        self._identities = IdGenerator()

    async def begin(self, sign_in: SignIn, instead_of: str | None = None) -> Begun:
        """A new session; the one that the browser had (its secret) ends."""
        now, lifetimes = self._clock.now(), self._lifetimes[sign_in.by]
        session = StaffSession(
            session_id=self._identities.uuid7(now),
            staff=sign_in.staff,
            signed_in_by=sign_in.by,
            browser=browser_name(sign_in.browser),
            at_provider=sign_in.at_provider,
            begun_at=now,
            used_at=now,
            idle_ends_at=now + lifetimes.idle,
            ends_at=now + lifetimes.longest,
        )
        secret = self._new_secret()
        async with connected(self._pool()) as connection, connection.transaction():
            await store.forget_before(connection, now - KEPT_AFTER_THE_END)
            before = await store.by_secret(connection, digest_of(instead_of or ""))
            if before is not None:
                await store.revoke(connection, [before.session_id], now)
            await store.put(connection, session, digest_of(secret))
        return Begun(secret, self.with_token(session, now))

    async def find(self, secret: str) -> StaffSession | None:
        """The session with that secret, if it goes on."""
        async with connected(self._pool()) as connection:
            session = await store.by_secret(connection, digest_of(secret))
        return session if session and session.holds(self._clock.now()) else None

    async def renew(
        self, secret: str, *, in_use: bool = True, first_as: Role | None = None
    ) -> Renewed | None:
        """A new access token while the session goes on, else None.

        Its end slides if somebody uses the browser. Raises ValueError for a role he has not got.
        """
        session = await self.find(secret)
        if session is None:
            return None
        now = self._clock.now()
        if first_as is not None:
            session = session.acting_first_as(first_as)
        if in_use:
            session = session.used(now, self._lifetimes[session.signed_in_by].idle)
        async with connected(self._pool()) as connection:
            if not await store.keep_use(connection, session):
                return None
        return self.with_token(session, now)

    async def of(self, staff: StaffMember) -> list[StaffSession]:
        """His sessions that go on, newest first."""
        async with connected(self._pool()) as connection:
            found = await store.of_person(connection, staff)
        now = self._clock.now()
        return [each for each in found if each.holds(now)]

    async def end(self, secret: str) -> StaffSession | None:
        """Sign out: the session that ended, None if there was none."""
        session = await self.find(secret)
        if session is not None:
            await self._revoke(session.session_id)
        return session

    async def revoke(self, staff: StaffMember, session_id: UUID) -> bool:
        """End one of his own sessions; False if it is none of those that go on."""
        if session_id not in {each.session_id for each in await self.of(staff)}:
            return False
        return await self._revoke(session_id) == 1

    async def end_at_provider(self, ended: AtProvider) -> int:
        """End what began with a sign-in that is over at the provider; how many sessions."""
        async with connected(self._pool()) as connection, connection.transaction():
            found = await store.at_provider(connection, ended)
            return await store.revoke(connection, found, self._clock.now())

    async def _revoke(self, session_id: UUID) -> int:
        async with connected(self._pool()) as connection:
            return await store.revoke(connection, [session_id], self._clock.now())

    def with_token(self, session: StaffSession, now: datetime) -> Renewed:
        """The session that goes on, with a new access token."""
        left = min(self._access_lifetime, session.idle_ends_at - now)
        token = self._signer.sign(session.staff, now, left)
        return Renewed(session, token, int(left.total_seconds()))


def browser_name(said: str) -> str:
    """A line of what a browser says of itself, for lists."""
    return one_line(said)[:_BROWSER_LENGTH]


def digest_of(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
