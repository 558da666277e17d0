"""decide(case, command) → the events that follow, or a refusal with its reason."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.base import SYSTEM, Actor, ActorRole, Origin
from lastmetre.common.contracts.case_model import WITH_A_LEAD, Case, apply, begin
from lastmetre.common.contracts.cases import (
    CaseAccepted,
    CaseArrived,
    CaseCancelled,
    CaseClosed,
    CaseDispatched,
    CaseEvent,
    CaseNoted,
    CaseRated,
    CaseReassigned,
    CaseRegistered,
    CaseReopened,
    CaseResolved,
    CaseReturned,
    CaseState,
    CaseUnplaced,
    CaseVerified,
    CategoryChanged,
    LocationChanged,
    UnplacedReason,
)
from lastmetre.common.contracts.reports import ReportAccepted
from lastmetre.common.contracts.requests import (
    Action,
    ActionRequested,
    FeedbackGiven,
    RefusalReason,
)
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.network import Area, Network
from lastmetre.dispatch.domain.rules import objection


class Refusal(NamedTuple):
    """What is not allowed, and why; nothing has changed."""

    reason: RefusalReason


class Decision(NamedTuple):
    """The case afterwards and the events that led there."""

    case: Case
    events: tuple[CaseEvent, ...]


class _Ledger:
    """Collects a decision's events, each numbered after the one before; the first says `answers`:
    the action that it answers, and who sent that."""

    def __init__(
        self, case: Case, now: datetime, answers: Mapping[str, UUID | str | None] | None = None
    ) -> None:
        self.case = case
        self.now = now
        self._answers = answers or {}
        self.events: list[CaseEvent] = []

    def record(
        self, kind: type[CaseEvent], actor: Actor, occurred_at: datetime, **facts: Any
    ) -> None:
        facts |= self._answers
        self._answers = {}
        event = kind(
            case_id=self.case.case_id,
            seq=self.case.seq + 1,
            occurred_at=occurred_at,
            recorded_at=self.now,
            actor=actor,
            **facts,
        )
        self.case = apply(self.case, event)
        self.events.append(event)

    def machine_time(self, cause: datetime) -> datetime:
        """When a step of ours happens: with its cause in history, now otherwise."""
        return cause if self.case.origin is Origin.IMPORT else self.now

    def decision(self) -> Decision:
        return Decision(self.case, tuple(self.events))


def register(
    report: ReportAccepted,
    *,
    case_id: UUID,
    number: str,
    area: Area | None,
    network_version: int,
    now: datetime,
) -> Decision:
    """立案 and 派遣 of an accepted report; `area` is where its position lies."""
    at = report.reported_at if report.origin is Origin.IMPORT else now
    first = CaseRegistered(
        case_id=case_id,
        seq=1,
        occurred_at=at,
        recorded_at=now,
        actor=SYSTEM,
        number=number,
        report_id=report.report_id,
        channel=report.channel,
        sub_channel=report.sub_channel,
        origin=report.origin,
        category=report.category,
        source_category=report.source_category,
        reported_at=report.reported_at,
        position=report.position,
        reported_accuracy_metres=report.accuracy_metres,
        reporter_reachable=report.reporter_reachable,
        language=report.language,
    )
    ledger = _Ledger(begin(first), now)
    ledger.events.append(first)
    _place(ledger, at, area, network_version)
    return ledger.decision()


def decide(case: Case, command: Command, *, network: Network, now: datetime) -> Decision | Refusal:
    """What a command leads to from the present state."""
    if command.objection is not None:
        return Refusal(command.objection)
    request = command.request
    if isinstance(request, FeedbackGiven):
        return _decide_feedback(case, request, network=network, now=now)
    return _decide_action(case, request, command.source, network=network, now=now)


def _decide_action(
    case: Case,
    request: ActionRequested,
    source: str | None,
    *,
    network: Network,
    now: datetime,
) -> Decision | Refusal:
    reason = objection(case, request, network, now)
    if reason is not None:
        return Refusal(reason)
    ledger = _Ledger(case, now, {"action_id": request.action_id, "action_source": source})
    at, actor = request.occurred_at, request.actor
    match request.action:
        case Action.ACCEPT:
            ledger.record(CaseAccepted, actor, at)
        case Action.ARRIVE:
            ledger.record(CaseArrived, actor, at)
        case Action.RESOLVE:
            ledger.record(CaseResolved, actor, at)
            _verify_and_close(ledger, at)
        case Action.RETURN:
            ledger.record(
                CaseReturned, actor, at, lead_id=case.lead_id, reason=request.return_reason
            )
            _unplace(ledger, ledger.machine_time(at), SYSTEM, "returned")
        case Action.PLACE:
            area = network.areas[request.area_id or ""]
            _assign(ledger, at, actor, area, "operator", network.version)
        case Action.CANCEL:
            ledger.record(CaseCancelled, actor, at, reason=request.cancel_reason)
        case Action.REOPEN:
            _reopen(ledger, at, actor, case.closings[-1], network)
        case _:
            _add(ledger, request)
    return ledger.decision()


def _add(ledger: _Ledger, request: ActionRequested) -> None:
    """What is no step of the case: who has it, and where it stands, stays as it was."""
    at, actor, reason = request.occurred_at, request.actor, request.correction_reason
    match request.action:
        case Action.CHANGE_CATEGORY:
            previous = ledger.case.category
            ledger.record(
                CategoryChanged,
                actor,
                at,
                category=request.category,
                previous_category=previous,
                reason=reason,
            )
        case Action.CHANGE_LOCATION:
            ledger.record(
                LocationChanged,
                actor,
                at,
                position=request.position,
                accuracy_metres=request.accuracy_metres,
                reason=reason,
            )
        case Action.NOTE:
            ledger.record(CaseNoted, actor, at, note_id=request.action_id)


def _decide_feedback(
    case: Case, feedback: FeedbackGiven, *, network: Network, now: datetime
) -> Decision | Refusal:
    """评价: a rating judges the closing that it names, once for each reporter. It reopens only the
    last one, also when that was rated before. Who joined says himself whether he has rated it."""
    if feedback.closing not in case.closings:
        return Refusal("not_this_closing")
    still_closed = case.state is CaseState.CLOSED and feedback.closing == case.closings[-1]
    reopens = feedback.reopen and not feedback.solved and still_closed
    ledger = _Ledger(case, now)
    resident = Actor(role=ActorRole.RESIDENT)
    at = feedback.occurred_at
    joined = feedback.report_id is not None
    if feedback.rated_before if joined else feedback.closing in case.rated:
        if not reopens:
            return Refusal("already_rated")
        _reopen(ledger, at, resident, feedback.closing, network, feedback.feedback_id)
        return ledger.decision()
    ledger.record(
        CaseRated,
        resident,
        at,
        feedback_id=feedback.feedback_id,
        closing=feedback.closing,
        solved=feedback.solved,
        score=feedback.score,
        report_id=feedback.report_id,
    )
    if reopens:
        _reopen(ledger, at, resident, feedback.closing, network)
    return ledger.decision()


class Answered(NamedTuple):
    """The action that an event answers, and how many events follow in the same decision."""

    action: Action
    followed_by: int


ANSWERS: Final[Mapping[str, Answered]] = {
    CaseAccepted.TYPE: Answered(Action.ACCEPT, 0),
    CaseArrived.TYPE: Answered(Action.ARRIVE, 0),
    CaseResolved.TYPE: Answered(Action.RESOLVE, 2),
    CaseReturned.TYPE: Answered(Action.RETURN, 1),
    CaseDispatched.TYPE: Answered(Action.PLACE, 0),
    CaseReassigned.TYPE: Answered(Action.PLACE, 0),
    CaseCancelled.TYPE: Answered(Action.CANCEL, 0),
    CaseReopened.TYPE: Answered(Action.REOPEN, 1),
    CategoryChanged.TYPE: Answered(Action.CHANGE_CATEGORY, 0),
    LocationChanged.TYPE: Answered(Action.CHANGE_LOCATION, 0),
    CaseNoted.TYPE: Answered(Action.NOTE, 0),
}
"""By the type of the event that names the action."""

UNFINISHED: Final = frozenset(
    kind.TYPE for kind in (CaseRegistered, CaseResolved, CaseVerified, CaseReturned, CaseReopened)
)
"""Events that no decision ends with."""


def finish(
    case: Case, last_type: str, occurred_at: datetime, *, network: Network, now: datetime
) -> Decision:
    """The rest of a decision of which only the first events came to be in the log.

    `last_type` is the last one's type, of `UNFINISHED`, and `occurred_at` its time.
    """
    ledger = _Ledger(case, now)
    at = ledger.machine_time(occurred_at)
    if last_type == CaseRegistered.TYPE:
        _place(ledger, at, network.locate([case.position])[0], network.version)
    elif last_type == CaseResolved.TYPE:
        _verify_and_close(ledger, occurred_at)
    elif last_type == CaseVerified.TYPE:
        ledger.record(CaseClosed, SYSTEM, at)
    elif last_type == CaseReturned.TYPE:
        _unplace(ledger, at, SYSTEM, "returned")
    else:
        _assign_again(ledger, at, network)
    return ledger.decision()


def _place(ledger: _Ledger, at: datetime, area: Area | None, network_version: int) -> None:
    """To the lead of `area`, where the case's position lies; to the centre if there is none."""
    if ledger.case.position is None:
        _unplace(ledger, at, SYSTEM, "no_position")
    elif area is None:
        _unplace(ledger, at, SYSTEM, "outside_every_area")
    elif area.lead is None:
        _unplace(ledger, at, SYSTEM, "area_without_lead")
    else:
        _assign(ledger, at, SYSTEM, area, "position", network_version)


def _assign(
    ledger: _Ledger,
    at: datetime,
    actor: Actor,
    area: Area,
    matched_by: Literal["position", "operator", "reopened"],
    network_version: int,
) -> None:
    previous = ledger.case.lead_id if ledger.case.state in WITH_A_LEAD else None
    kind = CaseDispatched if previous is None else CaseReassigned
    ledger.record(
        kind,
        actor,
        at,
        area_id=area.area_id,
        lead=area.lead,
        matched_by=matched_by,
        network_version=network_version,
        **({} if previous is None else {"previous_lead_id": previous}),
    )


def _unplace(ledger: _Ledger, at: datetime, actor: Actor, reason: UnplacedReason) -> None:
    ledger.record(CaseUnplaced, actor, at, reason=reason)


def _verify_and_close(ledger: _Ledger, resolved_at: datetime) -> None:
    """审核 and 办结 by the present policy: what a lead says is resolved is."""
    at = ledger.machine_time(resolved_at)
    ledger.record(CaseVerified, SYSTEM, at)
    ledger.record(CaseClosed, SYSTEM, at)


def _reopen(
    ledger: _Ledger,
    at: datetime,
    actor: Actor,
    closing: int,
    network: Network,
    feedback_id: UUID | None = None,
) -> None:
    """Back to the lead who had it, if the area still has one; to the centre otherwise."""
    ledger.record(CaseReopened, actor, at, closing=closing, feedback_id=feedback_id)
    _assign_again(ledger, ledger.machine_time(at), network)


def _assign_again(ledger: _Ledger, at: datetime, network: Network) -> None:
    area = network.areas.get(ledger.case.area_id or "")
    if area is None or area.lead is None:
        _unplace(ledger, at, SYSTEM, "reopened")
    else:
        _assign(ledger, at, SYSTEM, area, "reopened", network.version)
