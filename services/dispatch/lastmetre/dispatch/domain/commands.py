"""What is asked of a case: an action or a feedback, with who sent it."""

from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven, RefusalReason

FEEDBACK_KIND: Final = "feedback"

CommandId = tuple[bool, UUID]
"""Whether it is feedback, and its id: actions and feedback do not share their ids."""


def kind_of(request: ActionRequested | FeedbackGiven) -> str:
    """The action that is asked for, or feedback."""
    return request.action.value if isinstance(request, ActionRequested) else FEEDBACK_KIND


class Command(NamedTuple):
    """An action or a feedback. `traceparent` is the trace that it came with."""

    request: ActionRequested | FeedbackGiven
    traceparent: str
    source: str | None = None
    """The system that sent it, where it came from outside."""
    objection: RefusalReason | None = None
    """Why that system may not ask for this, whatever the case."""

    @property
    def case_id(self) -> UUID:
        """The case that it is about."""
        return self.request.case_id

    @property
    def request_id(self) -> UUID:
        """The request's own id."""
        request = self.request
        return request.action_id if isinstance(request, ActionRequested) else request.feedback_id

    @property
    def kind(self) -> str:
        """What was asked for."""
        return kind_of(self.request)

    @property
    def command_id(self) -> CommandId:
        """What its result is found by."""
        return isinstance(self.request, FeedbackGiven), self.request_id
