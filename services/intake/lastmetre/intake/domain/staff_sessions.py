"""A sign-in of a member of staff: how long it holds, and what ends it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Self
from uuid import UUID

from lastmetre.common.security.callers import Role, StaffMember


class SignedInBy(StrEnum):
    """How it was proved who he is."""

    PROVIDER = "provider"
    PASSWORD = "password"  # noqa: S105 - a kind of sign-in
    LINK = "link"
    DISPLAY = "display"


class Lifetimes(NamedTuple):
    """How long a session goes on unused, and how long at most."""

    idle: timedelta
    longest: timedelta


DISPLAY_LINK_LIFETIME: Final = timedelta(minutes=15)
"""How long the link of a screen that was registered may be opened."""
DISPLAY_IDLE: Final = timedelta(days=30)
DISPLAY_LONGEST: Final = timedelta(days=365)


class AtProvider(NamedTuple):
    """The same sign-in as the identity provider names it: `sub`, and `sid` if it said one."""

    subject: str
    session: str | None


@dataclass(frozen=True, slots=True)
class StaffSession:
    """A browser in which somebody has signed in. Times are real ones, aware."""

    session_id: UUID
    staff: StaffMember
    signed_in_by: SignedInBy
    browser: str
    at_provider: AtProvider | None
    begun_at: datetime
    used_at: datetime
    idle_ends_at: datetime
    ends_at: datetime
    revoked_at: datetime | None = None
    registered_by: str | None = None
    """Of a screen: who has made its link."""

    @property
    def awaits_its_screen(self) -> bool:
        """Whether nobody has opened the link of this screen yet."""
        return self.signed_in_by is SignedInBy.DISPLAY and self.used_at == self.begun_at

    def holds(self, now: datetime) -> bool:
        """Whether it goes on."""
        return self.revoked_at is None and now < min(self.idle_ends_at, self.ends_at)

    def used(self, now: datetime, idle: timedelta) -> Self:
        """After a use: its end slides, though never past its last one."""
        return replace(self, used_at=now, idle_ends_at=min(now + idle, self.ends_at))

    def acting_first_as(self, role: Role) -> Self:
        """With `role` before his others; ValueError if he has not got it."""
        if role not in self.staff.roles:
            raise ValueError(f"he is no {role}")
        others = tuple(each for each in self.staff.roles if each is not role)
        return replace(self, staff=replace(self.staff, roles=(role, *others)))
