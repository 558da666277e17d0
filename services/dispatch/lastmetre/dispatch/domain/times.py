"""When a step may be said to have happened: who asks for it tells his own times."""

from datetime import datetime, timedelta
from typing import Final

from lastmetre.common.contracts.base import Origin
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.requests import ActionRequested, RefusalReason
from lastmetre.dispatch.domain.commands import Command

FUTURE_TOLERANCE: Final = timedelta(minutes=5)
"""How far a terminal's clock may run ahead of ours, or behind."""
REPORTED_WITHIN: Final = timedelta(days=7)
"""How long after a step a terminal without a connection may still report it."""

TOLD_LATE: Final = timedelta(minutes=15)
PLACED_SEQ: Final = 2
"""Of the event by which a case is first placed."""


def told_late(case: Case, command: Command, now: datetime) -> bool:
    """Whether a step of a live case is told long after it happened, as who asks for it says: such
    times are his, and are counted apart."""
    request = command.request
    return (
        isinstance(request, ActionRequested)
        and case.origin is Origin.LIVE
        and now - request.occurred_at > TOLD_LATE
    )


def bad_time(case: Case, occurred_at: datetime, now: datetime) -> RefusalReason | None:
    """History keeps the times that it has; what happens now cannot be told as one likes."""
    if occurred_at > now + FUTURE_TOLERANCE:
        return "happens_in_the_future"
    if case.origin is Origin.IMPORT:
        return None
    # The first placing is ours: whoever stood there may have acted before it. A report that has
    # joined since is no step of the case.
    steps = case.seq - len(case.merged)
    earliest = case.changed_at if steps > PLACED_SEQ else case.reported_at
    if occurred_at < earliest - FUTURE_TOLERANCE:
        return "happens_before_the_last_step"
    return "happened_too_long_ago" if occurred_at < now - REPORTED_WITHIN else None
