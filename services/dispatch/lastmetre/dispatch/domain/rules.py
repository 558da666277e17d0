"""Which actions on a case are allowed: to whom, in which states, and with what they have to say."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lastmetre.common.contracts.base import ActorRole
from lastmetre.common.contracts.case_model import OPEN, WITH_A_LEAD, Case
from lastmetre.common.contracts.cases import CaseState
from lastmetre.common.contracts.requests import Action, ActionRequested, RefusalReason
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.domain.times import bad_time

OPERATORS: Final = frozenset({ActorRole.OPERATOR, ActorRole.ADMINISTRATOR})
REOPENERS: Final = OPERATORS | {ActorRole.SUPERVISOR}


@dataclass(frozen=True, slots=True)
class Rule:
    """Who may ask for an action and from which states.

    `commutes`: the case's lead need not say what he has seen, because nothing that he may have
    missed could change what his action means.
    """

    roles: frozenset[ActorRole]
    states: frozenset[CaseState]
    commutes: bool = False


LEAD: Final = frozenset({ActorRole.LEAD})
RULES: Final[Mapping[Action, Rule]] = {
    Action.ACCEPT: Rule(LEAD, frozenset({CaseState.DISPATCHED}), commutes=True),
    Action.ARRIVE: Rule(LEAD, frozenset({CaseState.ACCEPTED}), commutes=True),
    Action.RESOLVE: Rule(LEAD | OPERATORS, WITH_A_LEAD | {CaseState.UNPLACED}, commutes=True),
    Action.RETURN: Rule(LEAD, WITH_A_LEAD),
    Action.PLACE: Rule(OPERATORS, WITH_A_LEAD | {CaseState.UNPLACED}),
    Action.CANCEL: Rule(OPERATORS, OPEN),
    Action.REOPEN: Rule(REOPENERS, frozenset({CaseState.CLOSED})),
    # Of a closed case too: the figures go by it.
    Action.CHANGE_CATEGORY: Rule(OPERATORS, OPEN | {CaseState.CLOSED}),
    Action.CHANGE_LOCATION: Rule(OPERATORS, OPEN),
    # Of no state: what happened meanwhile changes nothing in what was noted.
    Action.NOTE: Rule(LEAD | REOPENERS, frozenset(CaseState), commutes=True),
    Action.MERGE: Rule(OPERATORS, OPEN),
    # Of a case that has ended too: what was done may have been about another report of it.
    Action.SPLIT: Rule(OPERATORS, OPEN | {CaseState.CLOSED, CaseState.CANCELLED}),
}


def objection(
    case: Case, request: ActionRequested, network: Network, now: datetime
) -> RefusalReason | None:
    """Why the action is refused as the case stands; None if it is not."""
    rule = RULES[request.action]
    role = request.actor.role
    if role not in rule.roles:
        return "not_allowed_for_role"
    # Before anything of the case is told: it may be another's.
    if role is ActorRole.LEAD and request.actor.id != case.lead_id:
        return "not_your_case"
    if (reason := bad_time(case, request.occurred_at, now)) is not None:
        return reason
    if request.expected_seq is None:
        if not rule.commutes:
            return "expected_seq_missing"
    elif request.expected_seq != case.seq:
        return "case_has_moved_on"
    if case.state not in rule.states:
        return "not_allowed_in_state"
    return _missing(case, request, network)


def _missing(case: Case, request: ActionRequested, network: Network) -> RefusalReason | None:
    match request.action:
        case Action.PLACE:
            return _no_lead(request.area_id, network)
        case Action.RETURN:
            return None if request.return_reason else "reason_missing"
        case Action.CANCEL:
            return None if request.cancel_reason else "reason_missing"
        case Action.CHANGE_CATEGORY | Action.CHANGE_LOCATION:
            return _no_correction(case, request)
        case Action.MERGE | Action.SPLIT:
            return _no_other_case(case, request)
        case _:
            return None


def _no_lead(area_id: str | None, network: Network) -> RefusalReason | None:
    if area_id is None:
        return "area_missing"
    area = network.areas.get(area_id)
    if area is None:
        return "area_unknown"
    return "area_without_lead" if area.lead is None else None


def _no_correction(case: Case, request: ActionRequested) -> RefusalReason | None:
    if request.action is Action.CHANGE_CATEGORY:
        if request.category is None:
            return "category_missing"
        changes = request.category != case.category
    else:
        if request.position is None:
            return "position_missing"
        if request.accuracy_metres is None:
            return "accuracy_missing"
        wanted = request.position, request.accuracy_metres
        changes = wanted != (case.position, case.accuracy_metres)
    if request.correction_reason is None:
        return "reason_missing"
    return None if changes else "nothing_changes"


def _no_other_case(case: Case, request: ActionRequested) -> RefusalReason | None:
    if request.action is Action.MERGE:
        if request.into_case_id is None:
            return "into_case_missing"
        if request.into_case_id == case.case_id:
            return "into_case_is_the_same"
        if request.into_expected_seq is None:
            return "expected_seq_missing"
    else:
        if request.report_id is None:
            return "report_missing"
        if request.report_id not in case.merged:
            return "report_not_joined"
    return None if request.correction_reason else "reason_missing"


def not_in_a_record(request: ActionRequested) -> RefusalReason | None:
    """Why a record cannot ask for it: the words of a note stand in none."""
    return "note_missing" if request.action is Action.NOTE else None


def unknown_category(request: ActionRequested, known: Container[str]) -> RefusalReason | None:
    """Why the category that is asked for cannot be, whatever the case; None if it can."""
    return None if request.category is None or request.category in known else "category_unknown"
