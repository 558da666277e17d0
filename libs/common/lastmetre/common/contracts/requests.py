"""What others ask of dispatch (`field.actions`, `feedback`) and its answers (`field.outcomes`)."""

from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from lastmetre.common.contracts.base import Accuracy, Actor, CaseMessage, Code, Instant, Position
from lastmetre.common.contracts.cases import CorrectionReason, ReturnReason


class Action(StrEnum):
    """What can be asked about a case."""

    ACCEPT = "accept"
    ARRIVE = "arrive"
    RESOLVE = "resolve"
    RETURN = "return"
    PLACE = "place"
    CANCEL = "cancel"
    REOPEN = "reopen"
    CHANGE_CATEGORY = "change_category"
    CHANGE_LOCATION = "change_location"
    NOTE = "note"
    MERGE = "merge"
    SPLIT = "split"


class ActionRequested(CaseMessage):
    """Somebody asks for a step. Key: case id. `action_id` makes a repetition harmless.

    `expected_seq` is the last `seq` that the asker has seen. Accept, arrive and resolve by the
    case's lead may leave it out: they commute with what does not change the assignment. So may a
    note, whose words are in intake's vault under the action's id: no record can bring them.

    A merge is asked of the case that is to end, and a split of the one that the report leaves. Of
    the case that its reports are to join a merge says what was seen of it as well, which matters
    if that was corrected since.
    """

    TYPE: ClassVar[str] = "lastmetre.action.requested.v1"

    action_id: UUID
    action: Action
    actor: Actor
    occurred_at: Instant
    expected_seq: int | None = Field(default=None, ge=1)
    area_id: Code | None = Field(default=None, description="place: the area to dispatch to")
    return_reason: ReturnReason | None = Field(default=None, description="return: why")
    cancel_reason: Code | None = Field(default=None, description="cancel: why")
    category: Code | None = Field(default=None, description="change_category: what it is")
    correction_reason: CorrectionReason | None = Field(
        default=None,
        description="change_category, change_location, merge, split: what that rests on",
    )
    position: Position | None = Field(default=None, description="change_location: where it is")
    accuracy_metres: Accuracy | None = Field(
        default=None, description="change_location: the radius of doubt"
    )
    into_case_id: UUID | None = Field(
        default=None, description="merge: the case that its reports are to join"
    )
    into_expected_seq: int | None = Field(
        default=None, ge=1, description="merge: the last seq of that case that the asker has seen"
    )
    report_id: UUID | None = Field(
        default=None, description="split: the report that is to be a case of its own"
    )


RefusalReason = Literal[
    "action_id_used",
    "unknown_case",
    "not_your_case",
    "not_allowed_for_role",
    "not_allowed_in_state",
    "case_has_moved_on",
    "expected_seq_missing",
    "reason_missing",
    "category_missing",
    "category_unknown",
    "position_missing",
    "accuracy_missing",
    "note_missing",
    "nothing_changes",
    "into_case_missing",
    "into_case_unknown",
    "into_case_is_the_same",
    "into_case_not_open",
    "into_case_has_moved_on",
    "report_missing",
    "report_not_joined",
    "report_not_kept",
    "area_missing",
    "area_unknown",
    "area_without_lead",
    "happens_in_the_future",
    "happens_before_the_last_step",
    "happened_too_long_ago",
    "not_this_closing",
    "already_rated",
]


class ActionAnswered(CaseMessage):
    """Dispatch's answer to an action. Key: case id. `seq` is the case's last one now.

    The first request under an `action_id` counts. The same again gets the same answer, something
    else under that id is refused as `action_id_used`.
    """

    TYPE: ClassVar[str] = "lastmetre.action.answered.v1"

    action_id: UUID
    action: Action
    done: bool
    refusal: RefusalReason | None = None
    seq: int = Field(ge=0, description="0: the case is not known")
    answered_at: AwareDatetime


class FeedbackGiven(CaseMessage):
    """A reporter's rating. Key: case id. `closing` is the seq of the closing it judges.

    Each reporter of the case rates a closing once. What he says later, with `reopen`, asks for no
    more than that: its score counts for nothing.
    """

    TYPE: ClassVar[str] = "lastmetre.feedback.given.v1"

    feedback_id: UUID
    closing: int = Field(ge=1)
    solved: bool
    score: int = Field(ge=1, le=5)
    reopen: bool = Field(default=False, description="the reporter asks to take it up again")
    occurred_at: Instant
    report_id: UUID | None = Field(
        default=None,
        description="of whoever says so, if it is one that has joined the case;"
        " none: the one that it was registered for",
    )
    rated_before: bool = Field(default=False, description="he has rated this closing already")
