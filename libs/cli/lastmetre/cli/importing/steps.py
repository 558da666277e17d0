"""From a row to what was done about its report, as the lead or the centre would have asked."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

from lastmetre.common.contracts.base import Actor, ActorRole, Channel
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.model import TableMapping
from lastmetre.common.mapping.values import Unusable, Words
from lastmetre.common.tables.reading import Row

NAMESPACE: Final = UUID("6f0d4b0e-8f0b-5b8e-9b0a-1d7c5a3e2f41")
CENTRE: Final = Actor(role=ActorRole.OPERATOR, id="replay")
"""Who acts where no lead has the case, and who alone may cancel."""


class Step(NamedTuple):
    """What was done, when; `reason` of a cancelling. `doubt` is for a person to look at."""

    line: int
    channel: Channel
    source_id: str
    action: Action
    at: datetime
    reason: str | None
    closed_before_reported: bool
    doubt: str | None

    def action_id(self, sender: str, attempt: int) -> UUID:
        """The same for the same step of the same report, however often it is replayed."""
        said = (
            sender, self.channel.value, self.source_id, self.action.value,
            self.at.isoformat(), self.reason or "", str(attempt),
        )  # fmt: skip
        return uuid5(NAMESPACE, "\0".join(said))

    def request(self, sender: str, case: Mapping[str, Any], attempt: int) -> ActionRequested:
        """Ask for it on `case`, as intake's lookup tells of it; `sender` sent its report."""
        lead = case["lead_id"]
        resolving = self.action is Action.RESOLVE
        return ActionRequested(
            case_id=case["case_id"],
            action_id=self.action_id(sender, attempt),
            action=self.action,
            actor=Actor(role=ActorRole.LEAD, id=lead) if resolving and lead else CENTRE,
            occurred_at=self.at,
            expected_seq=None if resolving else case["seq"],
            cancel_reason=self.reason,
        )


def step_in(row: Row, reader: Reader, mapping: TableMapping) -> Step | None:
    """What the row says was done; None if its status, or the mapping, has nothing to be replayed.

    Raises Unusable.
    """
    if row.problem:
        raise Unusable(Words("", row.problem))
    cells, replay = row.cells, mapping.replay
    if replay is None:
        return None
    status = cells[replay.column]
    if status not in replay.steps:
        raise Unusable(Words(replay.column, " is {}, which replay.steps lacks", (status,)))
    action = replay.steps[status]
    if action is None:
        return None
    at = reader.time_at(replay.at, cells)
    reported = reader.time_at(mapping.reported_at, cells)
    early = action is Action.RESOLVE and at.at < reported.at
    channel, source_id = reader.identity(cells)
    assert channel is not None
    return Step(
        line=row.line,
        channel=channel,
        source_id=source_id,
        action=action,
        at=at.at,
        reason=status if action is Action.CANCEL else None,
        closed_before_reported=early,
        doubt="closed before it was reported: flagged, in no response time" if early else at.doubt,
    )
