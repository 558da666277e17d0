"""The ledger, `case.events`: everything that became of a case, in order, for ever.

Only dispatch writes it. Key: case id. One case's events are numbered `seq` 1, 2, 3 …
"""

from enum import StrEnum
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from lastmetre.common.contracts.base import (
    Accuracy,
    Actor,
    CaseMessage,
    Channel,
    Code,
    Language,
    Model,
    Name,
    Origin,
    Position,
)
from lastmetre.common.contracts.place_in_words import PlaceInWords


class CaseState(StrEnum):
    """Where a case stands after its last event."""

    REGISTERED = "registered"
    UNPLACED = "unplaced"
    DISPATCHED = "dispatched"
    ACCEPTED = "accepted"
    ON_SITE = "on_site"
    RESOLVED = "resolved"
    VERIFIED = "verified"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    MERGED = "merged"


class LocalName(Model):
    """A name as published, in both languages."""

    zh: Name
    en: Name


class PublishedLead(Model):
    """What the city publishes of an area lead. Contacts stay in the vault."""

    lead_id: Code
    name: LocalName
    post: LocalName


class CaseEvent(CaseMessage):
    """One entry of the ledger. `occurred_at` is when it happened, `recorded_at` when we knew."""

    seq: int = Field(ge=1)
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    actor: Actor


class ReportOfCase(CaseEvent):
    """A report becomes one of the case's reports: what of it the ledger publishes."""

    report_id: UUID
    channel: Channel
    sub_channel: Code | None = None
    origin: Origin
    category: Code
    source_category: Code | None = None
    reported_at: AwareDatetime
    position: Position | None = None
    reported_accuracy_metres: Accuracy | None = Field(
        default=None,
        description="the radius of doubt of `position`, as its sender said"
        " or as its words leave it",
    )
    named_area_id: Code | None = Field(
        default=None, description="the area that its sender named, for which `position` stands"
    )
    place_in_words: PlaceInWords | None = Field(
        default=None, description="what its words say of where it is, if it came without a position"
    )
    reporter_reachable: bool
    language: Language


class CaseRegistered(ReportOfCase):
    """立案: the case begins. `number` is for people, unique, `yymmdd-nnnnnnn`, by local day.

    Its report stays with the case for as long as there is one.
    """

    TYPE: ClassVar[str] = "lastmetre.case.registered.v1"

    number: Code


CorrectionReason = Literal["said_in_report", "said_by_reporter", "seen_on_site"]
"""What a correction rests on: the report's words, its reporter's, or what was seen."""


class ReportMerged(ReportOfCase):
    """并案: a further report of the same problem joins the case, which stays as it was."""

    TYPE: ClassVar[str] = "lastmetre.case.report_merged.v1"

    previous_case_id: UUID | None = Field(
        default=None, description="the case that it belonged to, which has been merged"
    )
    reason: CorrectionReason | None = Field(default=None, description="what that rests on")


class ActionEffect(CaseEvent):
    """What an action may begin with: then it names the action, so that the log tells its answer."""

    action_id: UUID | None = Field(
        default=None, description="the action that this event answers; null for a step of ours"
    )
    action_source: Code | None = Field(
        default=None, description="`ce_source` of the record that asked for it; null for our pages"
    )


class ReportSplit(ActionEffect):
    """拆分: a report that had joined the case leaves it, and is the case `split_case_id` now.

    That case's ledger begins with a registration of its own, or goes on with a `CaseSplit` if there
    was one before: either is complete in itself. The report that a case was registered for cannot
    leave it.
    """

    TYPE: ClassVar[str] = "lastmetre.case.report_split.v1"

    report_id: UUID
    split_case_id: UUID
    reason: CorrectionReason | None = Field(default=None, description="what that rests on")


class Assignment(ActionEffect):
    """A lead gets the case; `matched_by` and `network_version` explain why this one."""

    area_id: Code
    lead: PublishedLead
    matched_by: Literal["position", "operator", "reopened"]
    network_version: int = Field(description="version of the network of areas that decided")


class CaseDispatched(Assignment):
    """派遣: from nobody to a lead."""

    TYPE: ClassVar[str] = "lastmetre.case.dispatched.v1"


class CaseReassigned(Assignment):
    """改派: from one lead to another."""

    TYPE: ClassVar[str] = "lastmetre.case.reassigned.v1"

    previous_lead_id: Code


UnplacedReason = Literal[
    "no_position",
    "outside_every_area",
    "area_without_lead",
    "several_leads",
    "returned",
    "reopened",
]


class CaseUnplaced(CaseEvent):
    """The case waits in the command centre's queue, for `reason`."""

    TYPE: ClassVar[str] = "lastmetre.case.unplaced.v1"

    reason: UnplacedReason
    area_ids: tuple[Code, ...] = Field(
        default=(), description="areas that its place may lie in, where these have several leads"
    )


class CaseAccepted(ActionEffect):
    """接单: the lead takes it on."""

    TYPE: ClassVar[str] = "lastmetre.case.accepted.v1"


class CaseArrived(ActionEffect):
    """到场: the lead is on site."""

    TYPE: ClassVar[str] = "lastmetre.case.arrived.v1"


class CaseResolved(ActionEffect):
    """处置完毕: the problem is dealt with, says who handled it."""

    TYPE: ClassVar[str] = "lastmetre.case.resolved.v1"


ReturnReason = Literal["wrong_area", "not_my_duty", "not_found", "needs_other_unit"]


class CaseReturned(ActionEffect):
    """退单: the lead gives it back."""

    TYPE: ClassVar[str] = "lastmetre.case.returned.v1"

    lead_id: Code
    reason: ReturnReason


class CaseVerified(CaseEvent):
    """审核: the handling was found good."""

    TYPE: ClassVar[str] = "lastmetre.case.verified.v1"


class CaseClosed(CaseEvent):
    """办结. Its `seq` names this closing: ratings judge it by that number."""

    TYPE: ClassVar[str] = "lastmetre.case.closed.v1"


class CaseCancelled(ActionEffect):
    """作废: no longer a case, for `reason`."""

    TYPE: ClassVar[str] = "lastmetre.case.cancelled.v1"

    reason: Code


class CaseMerged(ActionEffect):
    """并案: the case is of the same problem as `into_case_id`, which its reports have joined.

    It has none of them any more and has ended, unless its own one leaves that case (`CaseSplit`).
    """

    TYPE: ClassVar[str] = "lastmetre.case.merged.v1"

    into_case_id: UUID
    report_ids: tuple[UUID, ...] = Field(
        description="those that it had, the one that it was registered for first"
    )
    reason: CorrectionReason | None = Field(default=None, description="what that rests on")


class CaseSplit(CaseEvent):
    """拆分: its own report has left the case `from_case_id`, and is this case again."""

    TYPE: ClassVar[str] = "lastmetre.case.split.v1"

    from_case_id: UUID
    reason: CorrectionReason | None = Field(default=None, description="what that rests on")


class CategoryChanged(ActionEffect):
    """更正类别: the case is of another kind than its report was sent as; its state stays."""

    TYPE: ClassVar[str] = "lastmetre.case.category_changed.v1"

    category: Code
    previous_category: Code
    reason: CorrectionReason


class LocationChanged(ActionEffect):
    """更正位置: the case is at another place than its report said, or at one where that said none.

    `accuracy_metres` is the radius of doubt. Who has the case stays as it was.
    """

    TYPE: ClassVar[str] = "lastmetre.case.location_changed.v1"

    position: Position
    accuracy_metres: Accuracy
    reason: CorrectionReason


class CaseNoted(ActionEffect):
    """备注: staff have noted something on the case. The words are in the vault, as `note_id`."""

    TYPE: ClassVar[str] = "lastmetre.case.noted.v1"

    note_id: UUID


class CaseRated(CaseEvent):
    """评价: the reporter judged the closing with seq `closing`."""

    TYPE: ClassVar[str] = "lastmetre.case.rated.v1"

    feedback_id: UUID
    closing: int = Field(ge=1)
    solved: bool
    score: int = Field(ge=1, le=5)
    report_id: UUID | None = Field(
        default=None,
        description="of whoever rated, if it is one that has joined the case;"
        " none: the one that it was registered for",
    )


class CaseReopened(ActionEffect):
    """重新办理: the closing with seq `closing` did not hold."""

    TYPE: ClassVar[str] = "lastmetre.case.reopened.v1"

    closing: int = Field(ge=1)
    feedback_id: UUID | None = Field(
        default=None,
        description="the feedback that asked for it after the closing had been rated; else null",
    )
