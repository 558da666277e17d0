"""Staff who sign in with a password and a code: what of both is good, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from lastmetre.common.security.callers import StaffMember
from lastmetre.intake.domain.attempts import Attempt, Limit

FIRST_PASSWORD_LIFETIME: Final = timedelta(days=3)
"""One that the command has made is changed until then, or ends."""
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 128
CODE_SECONDS: Final = 30
_STEPS_APART: Final = (0, -1, 1)
"""The step of the present code, and those that clocks may be apart."""


@dataclass(frozen=True, slots=True)
class StaffUser:
    """As he is kept. `first_password_ends` is set until he has chosen a password himself."""

    staff: StaffMember
    password_hash: str
    codes_sealed: bytes
    last_step: int
    added_at: datetime
    first_password_ends: datetime | None = None
    disabled_at: datetime | None = None

    def may_sign_in(self, now: datetime) -> bool:
        """Whether he is not disabled, and his first password has not ended."""
        ended = self.first_password_ends is not None and self.first_password_ends <= now
        return self.disabled_at is None and not ended


class PasswordLimits(NamedTuple):
    """How often a password may be tried: on one name, by one client, and in all."""

    in_all: Limit
    by_client: Limit
    by_name: Limit

    def trying(self, client: str, name: str) -> list[Attempt]:
        """What somebody counts as who tries."""
        return [
            Attempt(self.in_all),
            Attempt(self.by_client, client),
            Attempt(self.by_name, name),
        ]


def steps_around(now: datetime) -> list[int]:
    """The time steps (RFC 6238) whose codes are good now, the present one first."""
    present = int(now.timestamp()) // CODE_SECONDS
    return [present + each for each in _STEPS_APART]


def why_not_as_password(password: str, subject: str) -> str | None:
    """Why that cannot be the password of `subject`: `short`, `long`, `name` or `simple`; None if
    it can. Nothing is asked of which characters it has (NIST SP 800-63B, 5.1.1.2)."""
    if len(password) < SHORTEST_PASSWORD:
        return "short"
    if len(password) > LONGEST_PASSWORD:
        return "long"
    plain = password.casefold()
    if subject.casefold() in plain or "lastmetre" in plain:
        return "name"
    return "simple" if len(set(plain)) < SHORTEST_PASSWORD // 2 else None


def codes_of(subject: str) -> bytes:
    """What the secret of somebody's codes is bound to in the vault."""
    return b"staff-codes\0" + subject.encode()
