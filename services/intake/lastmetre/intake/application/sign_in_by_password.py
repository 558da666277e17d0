"""Signing in with a password and a code, where the city has no identity provider."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lastmetre.common.security.callers import StaffMember
from lastmetre.common.service.clock import Clock
from lastmetre.intake.adapters.passwords import hash_of, is_code, is_password
from lastmetre.intake.adapters.postgres import staff_users as store
from lastmetre.intake.adapters.postgres.pool import connected
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.count_attempts import AttemptCounter
from lastmetre.intake.domain.attempts import TooManyAttempts
from lastmetre.intake.domain.identity_provider import NotProved
from lastmetre.intake.domain.staff_users import (
    PasswordLimits,
    StaffUser,
    codes_of,
    steps_around,
    why_not_as_password,
)

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

HASHES_AT_ONCE: Final = 2
"""Each takes 19 MiB: who asks for many at once waits."""


class CannotBePassword(Exception):
    """`why` as `why_not_as_password` says it."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class SignInByPassword:
    """A try counts before anybody looks, and only one that came off is forgotten. Whoever fails is
    not told at what. `clock` is the real one."""

    def __init__(
        self,
        pool: "Callable[[], Pool]",
        vault: Vault,
        attempts: AttemptCounter,
        limits: PasswordLimits,
        clock: Clock,
    ) -> None:
        self._pool = pool
        self._vault = vault
        self._attempts = attempts
        self._limits = limits
        self._clock = clock
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)
        self._nobodys_hash = hash_of("the password of nobody")

    async def __call__(self, client: str, subject: str, password: str, code: str) -> StaffMember:
        """Who it is. Raises NotProved, TooManyAttempts, CannotOpen without the vault's key."""
        attempts = self._limits.trying(client, subject)
        if (passed := await self._attempts.reserve(attempts)) is not None:
            raise TooManyAttempts(passed)
        async with connected(self._pool()) as connection:
            user = await store.find(connection, subject)
        known = await self._is_password(password, user)
        # Nobody learns from the time it takes whether there is such a name.
        if user is None or not known or not user.may_sign_in(self._clock.now()):
            raise NotProved("password")
        await self._spend(user, code)
        await self._attempts.release(attempts)
        return user.staff

    async def change(self, client: str, subject: str, password: str, chosen: str) -> None:
        """Put the password that he has `chosen` in the place of his own.

        Raises NotProved if `password` is not his, CannotBePassword, TooManyAttempts.
        """
        attempts = self._limits.trying(client, subject)
        if (passed := await self._attempts.reserve(attempts)) is not None:
            raise TooManyAttempts(passed)
        async with connected(self._pool()) as connection:
            user = await store.find(connection, subject)
        if not await self._is_password(password, user) or user is None:
            raise NotProved("password")
        await self._attempts.release(attempts)
        if (why := why_not_as_password(chosen, subject)) is not None:
            raise CannotBePassword(why)
        async with self._hashing:
            kept = await asyncio.to_thread(hash_of, chosen)
        async with connected(self._pool()) as connection:
            await store.set_password(connection, subject, kept, None)

    async def _is_password(self, password: str, user: StaffUser | None) -> bool:
        kept = user.password_hash if user else self._nobodys_hash
        async with self._hashing:
            return await asyncio.to_thread(is_password, password, kept) and user is not None

    async def _spend(self, user: StaffUser, code: str) -> None:
        secret = self._vault.open(user.codes_sealed, codes_of(user.staff.subject))
        steps = (step for step in steps_around(self._clock.now()) if is_code(code, secret, step))
        step = next(steps, None)
        async with connected(self._pool()) as connection:
            if step is None or not await store.spend_step(connection, user.staff.subject, step):
                raise NotProved("code")
