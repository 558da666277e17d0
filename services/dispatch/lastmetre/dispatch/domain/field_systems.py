"""For whom the systems that write to `field.actions` may speak.

Nothing in a record proves who wrote it: the brokers' access rules say who may write there at all,
and this says what he may ask for under his name, `ce_source`.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.requests import RefusalReason

STAFF: Final = frozenset(
    {ActorRole.LEAD, ActorRole.OPERATOR, ActorRole.SUPERVISOR, ActorRole.ADMINISTRATOR}
)
SOURCE_CHARACTERS: Final = 120


class FieldSystem(NamedTuple):
    """The roles that a system speaks for; of the leads these alone, or any if that is None."""

    roles: frozenset[ActorRole]
    leads: frozenset[str] | None = None


UNNAMED: Final = FieldSystem(frozenset({ActorRole.LEAD}))
"""A system that the city has not named speaks for leads."""


class FieldSystems:
    """Every system that the city has named, by `ce_source`."""

    def __init__(self, named: Mapping[str, FieldSystem] | Iterable[tuple[str, FieldSystem]] = ()):
        self._named = dict(named)

    def objection(self, source: str | None, actor: Actor) -> RefusalReason | None:
        """Why `source` may not ask for something in that person's name; None if it may."""
        system = self._named.get(source or "", UNNAMED)
        if actor.role not in system.roles:
            return "not_allowed_for_role"
        if actor.role is ActorRole.LEAD and system.leads is not None:
            return None if actor.id in system.leads else "not_your_case"
        return None


def source_named(header: bytes | None) -> str | None:
    """A record's `ce_source` as the ledger keeps it: printable, and not without end."""
    if not header:
        return None
    text = header.decode("utf-8", "replace")[:SOURCE_CHARACTERS]
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)
