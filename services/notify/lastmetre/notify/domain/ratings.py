"""Ratings: which closing a secret link is for, and what is said about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

_FEEDBACK: Final = UUID("2f0b4c7e-6a7b-5c0e-8d43-3c6d4f1c9a55")
_CASE_BYTES: Final = 16
_SEQ_BYTES: Final = 4


class Closing(NamedTuple):
    """One closing of a case, named by its seq."""

    case_id: UUID
    seq: int

    @property
    def feedback_id(self) -> UUID:
        """The same for every rating of this closing: only one counts."""
        return uuid5(_FEEDBACK, f"{self.case_id}/{self.seq}")

    @property
    def reopening_id(self) -> UUID:
        """The same for everybody who asks, after this closing was rated, to take it up again."""
        return uuid5(_FEEDBACK, f"{self.case_id}/{self.seq}/reopening")


def closing_of(identity: bytes | None) -> Closing | None:
    """The closing that a link's identity names; None if it names none."""
    if identity is None or len(identity) != _CASE_BYTES + _SEQ_BYTES:
        return None
    seq = int.from_bytes(identity[_CASE_BYTES:], "big")
    return Closing(UUID(bytes=identity[:_CASE_BYTES]), seq) if seq else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a reporter says about a closing. Only what is not solved can be taken up again."""

    solved: bool
    score: int
    reopen: bool


@dataclass(frozen=True, slots=True)
class Rating:
    """What a reporter said about a closing, and what became of that."""

    case_id: UUID
    closing: int
    feedback_id: UUID
    solved: bool
    score: int
    reopen: bool
    given_at: datetime
    recorded_at: datetime | None = None
    """When it was known to stand in the ledger; None before that."""
    reopened: bool = False
    """Whether the case was taken up again for it."""
    reopening_id: UUID | None = None
    """The later feedback that asked for that, if one did."""
    reopening_asked_at: datetime | None = None
