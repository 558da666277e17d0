"""Who calls: staff in their roles, services, holders of a channel's key.

Apart from `access`, so that a command need not import a web framework to name a role.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

TOKEN_COOKIE = "lastmetre_token"  # noqa: S105 - the cookie's name
TOKEN_PARAMETER = "token"  # noqa: S105 - the parameter's name
ACCESS_COOKIE = "lastmetre_access"
SESSION_COOKIE = "lastmetre_session"
FRESH_COOKIE = "lastmetre_fresh"


class Role(StrEnum):
    """What a member of staff is. Used as a rule: the holder of that role may call."""

    LEAD = "lead"
    OPERATOR = "operator"
    SUPERVISOR = "supervisor"
    ADMINISTRATOR = "administrator"
    DISPLAY = "display"
    """A screen on a wall, which is nobody: it shows the board, and does nothing."""


OPERATORS: Final = (Role.OPERATOR, Role.ADMINISTRATOR)
"""Who decides in the command centre."""
CENTRE: Final = (*OPERATORS, Role.SUPERVISOR)
"""Who sees all cases: whoever decides, and whoever watches over it."""
STAFF: Final = (Role.LEAD, *CENTRE)
"""What a person can be."""


class Via(StrEnum):
    """How a person's token came."""

    HEADER = "header"
    COOKIE = "cookie"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class StaffMember:
    """Whom a sign-in has found. `roles` has one at least, the one he prefers to act in first;
    `lead_id` is set if he is a lead, and only then."""

    subject: str
    roles: tuple[Role, ...]
    lead_id: str | None

    def person(self, via: Via) -> "Person":
        """The same as a caller: in his first role, with the others at hand."""
        first, *others = (
            Person(self.subject, role, self.lead_id if role is Role.LEAD else None, via)
            for role in self.roles
        )
        return replace(first, others=tuple(others))


@dataclass(frozen=True, slots=True)
class Person:
    """A member of staff in a role. `lead_id` is set for leads, and only for them."""

    subject: str
    role: Role
    lead_id: str | None
    via: Via
    others: tuple["Person", ...] = ()
    """The same person in his further roles; none once it is settled in which one he acts."""

    @property
    def actor(self) -> str:
        """Who this is in the ledger, as `lead:L017` or `operator:zhou.lin`."""
        return f"{self.role.value}:{self.lead_id or self.subject}"

    @property
    def in_each_role(self) -> tuple["Person", ...]:
        """The person once for each role, the preferred one first."""
        return (replace(self, others=()), *self.others)


@dataclass(frozen=True, slots=True)
class ServiceCaller:
    """One of our services."""

    name: str

    @property
    def actor(self) -> str:
        """Who this is in the ledger, as `service:notify`."""
        return f"service:{self.name}"


@dataclass(frozen=True, slots=True)
class ChannelCaller:
    """The holder of a channel's API key; with `history` it may send what happened long ago.

    `mapping` names what reads his own form; without, he sends ours.
    """

    channel: str
    sender: str
    history: bool = False
    mapping: str | None = None

    @property
    def actor(self) -> str:
        """Who this is in the ledger, as `channel:hotline/12345`."""
        return f"channel:{self.channel}/{self.sender}"


Principal = Person | ServiceCaller | ChannelCaller
