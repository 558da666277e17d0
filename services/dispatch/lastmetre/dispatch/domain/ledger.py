"""What happened to a case, entry by entry."""

from datetime import datetime
from typing import NamedTuple

from lastmetre.common.contracts.case_model import SHORT_NAMES
from lastmetre.common.contracts.cases import CaseEvent


class LedgerLine(NamedTuple):
    """One entry of a case's ledger, without its body."""

    seq: int
    type: str
    occurred_at: datetime
    recorded_at: datetime
    actor_role: str
    actor_id: str | None

    @property
    def short_name(self) -> str:
        """`accepted` for `lastmetre.case.accepted.v1`."""
        return SHORT_NAMES[self.type]


class Step(NamedTuple):
    """An entry of the ledger with the event; None in rows older than bodies."""

    line: LedgerLine
    event: CaseEvent | None
