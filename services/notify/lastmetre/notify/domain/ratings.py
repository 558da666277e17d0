"""Ratings: which closing a secret link is for, and what is said about it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

_FEEDBACK: Final = UUID("2f0b4c7e-6a7b-5c0e-8d43-3c6d4f1c9a55")
_ID_BYTES: Final = 16
_CLOSING_BYTES: Final = _ID_BYTES + 4


class Closing(NamedTuple):
    """One closing of a case, named by its seq, as one reporter judges it: of a report that has
    joined the case, or None, of the one that it was registered for."""

    case_id: UUID
    seq: int
    report_id: UUID | None = None

    @property
    def feedback_id(self) -> UUID:
        """The same for every rating of this closing by this reporter: only one counts."""
        return uuid5(_FEEDBACK, self._name)

    @property
    def reopening_id(self) -> UUID:
        """The same however often he asks, after he has rated it, to take the case up again."""
        return uuid5(_FEEDBACK, f"{self._name}/reopening")

    @property
    def _name(self) -> str:
        closing = f"{self.case_id}/{self.seq}"
        return f"{closing}/{self.report_id}" if self.report_id else closing


def closing_of(identity: bytes | None) -> Closing | None:
    """The closing that a link's identity names; None if it names none."""
    if identity is None or len(identity) not in (_CLOSING_BYTES, _CLOSING_BYTES + _ID_BYTES):
        return None
    seq = int.from_bytes(identity[_ID_BYTES:_CLOSING_BYTES], "big")
    report = identity[_CLOSING_BYTES:]
    report_id = UUID(bytes=report) if report else None
    return Closing(UUID(bytes=identity[:_ID_BYTES]), seq, report_id) if seq else None


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
    report_id: UUID | None = None
    """Of whoever rated, if it is one that has joined the case."""
