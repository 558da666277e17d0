"""decide(case, command) → the events that follow, or a refusal with its reason."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.contracts.base import SYSTEM, Actor, ActorRole, Origin
from lastmetre.common.contracts.case_model import Case, begin
from lastmetre.common.contracts.cases import (
    CaseAccepted,
    CaseArrived,
    CaseCancelled,
    CaseClosed,
    CaseDispatched,
    CaseMerged,
    CaseNoted,
    CaseRated,
    CaseReassigned,
    CaseRegistered,
    CaseReopened,
    CaseResolved,
    CaseReturned,
    CaseSplit,
    CaseState,
    CaseVerified,
    CategoryChanged,
    LocationChanged,
    ReportSplit,
)
from lastmetre.common.contracts.reports import ReportAccepted
from lastmetre.common.contracts.requests import Action, ActionRequested, FeedbackGiven
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.decision import Decision, Recorder, Refusal
from lastmetre.dispatch.domain.merging import NOTHING_BESIDE, Beside, merge_or_split
from lastmetre.dispatch.domain.network import Answering, Network
from lastmetre.dispatch.domain.placing import assign, assign_again, place, place_as_before, unplace
from lastmetre.dispatch.domain.rules import objection


def register(
    report: ReportAccepted,
    *,
    case_id: UUID,
    number: str,
    answering: Answering,
    network_version: int,
    now: datetime,
) -> Decision:
    """立案 and 派遣 of an accepted report; `answering`: who does for its position."""
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
        named_area_id=report.named_area_id,
        place_in_words=report.place_in_words,
        reporter_reachable=report.reporter_reachable,
        language=report.language,
    )
    ledger = Recorder(begin(first), now)
    ledger.events.append(first)
    place(ledger, at, answering, network_version)
    return ledger.decision()


def decide(
    case: Case,
    command: Command,
    *,
    network: Network,
    now: datetime,
    beside: Beside = NOTHING_BESIDE,
) -> Decision | Refusal:
    """What a command leads to from the present state, and from what there is `beside` the case."""
    if command.objection is not None:
        return Refusal(command.objection)
    request = command.request
    if isinstance(request, FeedbackGiven):
        return _decide_feedback(case, request, network=network, now=now)
    reason = objection(case, request, network, now)
    if reason is not None:
        return Refusal(reason)
    answers = {"action_id": request.action_id, "action_source": command.source}
    if request.action in (Action.MERGE, Action.SPLIT):
        return merge_or_split(case, request, answers, beside, network=network, now=now)
    ledger = Recorder(case, now, answers)
    _act(ledger, request, network)
    return ledger.decision()


def _act(ledger: Recorder, request: ActionRequested, network: Network) -> None:
    case, at, actor = ledger.case, request.occurred_at, request.actor
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
            unplace(ledger, ledger.machine_time(at), SYSTEM, "returned")
        case Action.PLACE:
            area = network.areas[request.area_id or ""]
            assign(ledger, at, actor, area, "operator", network.version)
        case Action.CANCEL:
            ledger.record(CaseCancelled, actor, at, reason=request.cancel_reason)
        case Action.REOPEN:
            _reopen(ledger, at, actor, case.closings[-1], network)
        case _:
            _add(ledger, request)


def _add(ledger: Recorder, request: ActionRequested) -> None:
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
    ledger = Recorder(case, now)
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
    CaseMerged.TYPE: Answered(Action.MERGE, 0),
    ReportSplit.TYPE: Answered(Action.SPLIT, 0),
}
"""By the type of the event that names the action."""

UNFINISHED: Final = frozenset(
    kind.TYPE
    for kind in (
        CaseRegistered,
        CaseResolved,
        CaseVerified,
        CaseReturned,
        CaseReopened,
        CaseSplit,
    )
)
"""Events that no decision ends with."""


def finish(
    case: Case, last_type: str, occurred_at: datetime, *, network: Network, now: datetime
) -> Decision:
    """The rest of a decision of which only the first events came to be in the log.

    `last_type` is the last one's type, of `UNFINISHED`, and `occurred_at` its time. The area
    that a report named is not in the case: then the command centre places it if its place is rough.
    """
    ledger = Recorder(case, now)
    at = ledger.machine_time(occurred_at)
    if last_type == CaseRegistered.TYPE:
        (answering,) = network.answering([(case.position, case.within_metres, None)])
        place(ledger, at, answering, network.version)
    elif last_type == CaseResolved.TYPE:
        _verify_and_close(ledger, occurred_at)
    elif last_type == CaseVerified.TYPE:
        ledger.record(CaseClosed, SYSTEM, at)
    elif last_type == CaseReturned.TYPE:
        unplace(ledger, at, SYSTEM, "returned")
    elif last_type == CaseSplit.TYPE:
        place_as_before(ledger, at, network)
    else:
        assign_again(ledger, at, network)
    return ledger.decision()


def _verify_and_close(ledger: Recorder, resolved_at: datetime) -> None:
    """审核 and 办结 by the present policy: what a lead says is resolved is."""
    at = ledger.machine_time(resolved_at)
    ledger.record(CaseVerified, SYSTEM, at)
    ledger.record(CaseClosed, SYSTEM, at)


def _reopen(
    ledger: Recorder,
    at: datetime,
    actor: Actor,
    closing: int,
    network: Network,
    feedback_id: UUID | None = None,
) -> None:
    """Back to the lead who had it, if the area still has one; to the centre otherwise."""
    ledger.record(CaseReopened, actor, at, closing=closing, feedback_id=feedback_id)
    assign_again(ledger, ledger.machine_time(at), network)
