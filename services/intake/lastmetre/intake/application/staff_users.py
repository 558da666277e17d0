"""Staff who sign in with passwords: added, listed, disabled, given new passwords and codes."""

import base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lastmetre.common.security.callers import StaffMember
from lastmetre.common.service.clock import Clock
from lastmetre.intake.adapters.passwords import CODE_SECRET_BYTES, code_address, hash_of
from lastmetre.intake.adapters.postgres import staff_sessions, staff_users
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.domain.staff_sessions import SignedInBy
from lastmetre.intake.domain.staff_users import (
    FIRST_PASSWORD_LIFETIME,
    StaffUser,
    codes_of,
)

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_PASSWORD_BYTES = 15


class NoSuchUser(Exception):
    """Nobody has that name."""


class UserExists(Exception):
    """Somebody has that name already."""


class Given(NamedTuple):
    """What is told to the user once, and kept nowhere. `sessions` of his ended."""

    password: str | None = None
    code_secret: str | None = None
    code_address: str | None = None
    sessions: int = 0


class StaffUsers:
    """For the command, on a connection of its own. `random_bytes` draws as many as asked; `issuer`
    is what authenticators show beside the name. In a dry run nothing changes."""

    def __init__(
        self,
        connection: "Connection",
        vault: Vault,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        issuer: str,
        *,
        dry_run: bool = False,
    ) -> None:
        self._connection = connection
        self._vault = vault
        self._clock = clock
        self._random_bytes = random_bytes
        self._issuer = issuer
        self._dry_run = dry_run

    async def add(self, staff: StaffMember) -> Given:
        """A new user with a first password and a secret of codes. Raises UserExists."""
        password, secret = self._new_password(), self._random_bytes(CODE_SECRET_BYTES)
        if await staff_users.find(self._connection, staff.subject) is not None:
            raise UserExists
        now = self._clock.now()
        user = StaffUser(
            staff=staff,
            password_hash=hash_of(password),
            codes_sealed=self._vault.seal(secret, codes_of(staff.subject)),
            last_step=0,
            added_at=now,
            first_password_ends=now + FIRST_PASSWORD_LIFETIME,
        )
        if self._dry_run:
            return Given()
        if not await staff_users.put(self._connection, user):
            raise UserExists
        return self._given(staff.subject, password, secret)

    async def everybody(self) -> Sequence[StaffUser]:
        """All of them by name."""
        return await staff_users.everybody(self._connection)

    async def set_roles(self, staff: StaffMember) -> Given:
        """He has these roles from now on, and no others; his sessions end. Raises NoSuchUser."""
        return await self._change(staff.subject, roles=staff)

    async def disable(self, subject: str) -> Given:
        """He signs in no more, and his sessions end. Raises NoSuchUser."""
        return await self._change(subject, disable=True)

    async def enable(self, subject: str) -> Given:
        """He may sign in again, as before. Raises NoSuchUser."""
        await self._find(subject)
        if not self._dry_run:
            await staff_users.set_disabled(self._connection, subject, None)
        return Given()

    async def set_password(self, subject: str) -> Given:
        """A new first password; his sessions end. Raises NoSuchUser."""
        return await self._change(subject, password=self._new_password())

    async def reset_codes(self, subject: str) -> Given:
        """A new secret of codes; his sessions end. Raises NoSuchUser."""
        return await self._change(subject, secret=self._random_bytes(CODE_SECRET_BYTES))

    async def _change(
        self,
        subject: str,
        *,
        disable: bool = False,
        roles: StaffMember | None = None,
        password: str | None = None,
        secret: bytes | None = None,
    ) -> Given:
        user = await self._find(subject)
        now = self._clock.now()
        async with self._connection.transaction():
            open_sessions = [
                each.session_id
                for each in await staff_sessions.of_person(self._connection, user.staff)
                if each.signed_in_by is SignedInBy.PASSWORD and each.holds(now)
            ]
            if self._dry_run:
                return Given(sessions=len(open_sessions))
            if disable:
                await staff_users.set_disabled(self._connection, subject, now)
            if roles is not None:
                await staff_users.set_roles(self._connection, roles)
            if password is not None:
                ends = now + FIRST_PASSWORD_LIFETIME
                await staff_users.set_password(self._connection, subject, hash_of(password), ends)
            if secret is not None:
                sealed = self._vault.seal(secret, codes_of(subject))
                await staff_users.set_codes(self._connection, subject, sealed)
            ended = await staff_sessions.revoke(self._connection, open_sessions, now)
        return self._given(subject, password, secret)._replace(sessions=ended)

    async def _find(self, subject: str) -> StaffUser:
        user = await staff_users.find(self._connection, subject)
        if user is None:
            raise NoSuchUser
        return user

    def _new_password(self) -> str:
        """120 random bits, in groups of letters and digits that can be read out."""
        text = base64.b32encode(self._random_bytes(_PASSWORD_BYTES)).decode().lower()
        return "-".join(text[start : start + 6] for start in range(0, len(text), 6))

    def _given(self, subject: str, password: str | None, secret: bytes | None) -> Given:
        if secret is None:
            return Given(password)
        code_secret = base64.b32encode(secret).decode()
        return Given(password, code_secret, code_address(secret, subject, self._issuer))
