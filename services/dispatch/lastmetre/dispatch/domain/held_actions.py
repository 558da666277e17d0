"""Actions that can still be taken back."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from lastmetre.common.contracts.requests import ActionRequested


class HeldAction(NamedTuple):
    """An action with the time from which on it is decided, or why that refused it."""

    request: ActionRequested
    number: str
    traceparent: str
    due_at: datetime
    refusal: str | None

    @property
    def action_id(self) -> UUID:
        """The action's own id."""
        return self.request.action_id
