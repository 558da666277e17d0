"""What a case is: the table of DESIGN section 4, and the fold that all readers share."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin, message_types
from lastmetre.common.contracts.case_model import (
    ENDED,
    OPEN,
    PLACING_NAMES,
    SHORT_NAMES,
    STATE_AFTER,
    STATE_AFTER_NAME,
    Case,
    LedgerBroken,
    apply,
    begin,
    fold,
)
from lastmetre.common.contracts.cases import CaseEvent, CaseState, LocalName, PublishedLead

AT = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
CASE, FIRST, SECOND, THIRD = (UUID(int=each) for each in range(1, 5))
NAME = LocalName(zh="李敏", en="Li Min")
LEAD = PublishedLead(lead_id="L1", name=NAME, post=NAME)
OF_REPORT: dict[str, Any] = {
    "channel": Channel.APP,
    "origin": Origin.LIVE,
    "category": "06010",
    "reported_at": AT,
    "reporter_reachable": True,
    "language": Language.CHINESE,
}
ASSIGNED: dict[str, Any] = {
    "area_id": "A1", "lead": LEAD, "matched_by": "position", "network_version": 1,
}  # fmt: skip
FACTS: dict[type[CaseEvent], dict[str, Any]] = {
    cases.CaseRegistered: OF_REPORT | {"number": "261122-0001", "report_id": FIRST},
    cases.CaseDispatched: ASSIGNED,
    cases.CaseReassigned: ASSIGNED | {"area_id": "A2", "previous_lead_id": "L1"},
    cases.CaseUnplaced: {"reason": "no_position"},
    cases.CaseReturned: {"lead_id": "L1", "reason": "wrong_area"},
    cases.CaseCancelled: {"reason": "not_a_problem"},
    cases.CaseRated: {"feedback_id": THIRD, "closing": 5, "solved": True, "score": 5},
    cases.CaseReopened: {"closing": 5},
    cases.ReportMerged: OF_REPORT | {"report_id": SECOND},
    cases.ReportSplit: {"report_id": SECOND, "split_case_id": THIRD},
    cases.CaseMerged: {"into_case_id": THIRD, "report_ids": (FIRST, SECOND)},
    cases.CaseSplit: {"from_case_id": THIRD},
}


def test_21_a_place_is_as_exact_as_its_sender_said_until_somebody_sets_it() -> None:
    case = begin(event(cases.CaseRegistered, 1, reported_accuracy_metres=3000))
    assert case.within_metres == 3000
    place = {"position": {"latitude": 23.0, "longitude": 113.7}, "reason": "said_by_reporter"}
    set_by_hand = event(cases.LocationChanged, 2, **place, accuracy_metres=0)
    assert apply(case, set_by_hand).within_metres == 0
    assert begin(event(cases.CaseRegistered, 1)).within_metres is None


def event(kind: type[CaseEvent], seq: int, **facts: Any) -> CaseEvent:
    at = AT + timedelta(minutes=seq)
    common = {"case_id": CASE, "seq": seq, "occurred_at": at, "recorded_at": at, "actor": SYSTEM}
    return kind.model_validate(common | FACTS.get(kind, {}) | facts)


def after(*kinds: type[CaseEvent]) -> Case:
    case = begin(event(cases.CaseRegistered, 1))
    for seq, kind in enumerate(kinds, 2):
        case = apply(case, event(kind, seq))
    return case


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("registered", "registered"), ("dispatched", "dispatched"), ("reassigned", "dispatched"),
        ("unplaced", "unplaced"), ("accepted", "accepted"), ("arrived", "on_site"),
        ("resolved", "resolved"), ("returned", "unplaced"), ("verified", "verified"),
        ("closed", "closed"), ("cancelled", "cancelled"), ("reopened", "registered"),
        ("category_changed", None), ("location_changed", None), ("rated", None),
        ("noted", None), ("report_merged", None), ("report_split", None),
        ("merged", "merged"), ("split", "registered"),
    ],
)  # fmt: skip
def test_the_state_that_an_event_leads_to(name: str, state: str | None) -> None:
    assert STATE_AFTER_NAME[name] == state


def test_every_event_of_the_contract_is_in_the_model() -> None:
    kinds = message_types(cases)
    assert {kind.TYPE for kind in STATE_AFTER} == set(kinds)
    assert len(set(SHORT_NAMES.values())) == len(SHORT_NAMES) == len(kinds)
    assert {state for state in STATE_AFTER.values() if state} == set(CaseState)
    assert not OPEN & ENDED


@pytest.mark.parametrize(
    ("kinds", "placed"),
    [
        ([cases.CaseDispatched], ("A1", "L1", None)),
        ([cases.CaseUnplaced], (None, None, "no_position")),
        ([cases.CaseUnplaced, cases.CaseDispatched], ("A1", "L1", None)),
        ([cases.CaseDispatched, cases.CaseReassigned], ("A2", "L1", None)),
        ([cases.CaseDispatched, cases.CaseReturned], (None, None, "returned")),
        # Closed from the queue: the reason for which it was there stays with it.
        ([cases.CaseUnplaced, cases.CaseResolved], (None, None, "no_position")),
        # Taken up again: its area says who is asked first.
        ([cases.CaseDispatched, cases.CaseClosed, cases.CaseReopened], ("A1", "L1", None)),
    ],
)
def test_who_has_the_case(
    kinds: list[type[CaseEvent]], placed: tuple[str | None, str | None, str | None]
) -> None:
    case = after(*kinds)
    assert (case.area_id, case.lead_id, case.unplaced_reason) == placed


def test_names_of_the_events_that_say_who_has_it() -> None:
    assert {"dispatched", "reassigned", "unplaced", "returned"} == PLACING_NAMES


def test_a_merged_case_has_ended_and_goes_on_with_its_own_report() -> None:
    merged = after(cases.CaseDispatched, cases.ReportMerged, cases.CaseMerged)
    assert (merged.state, merged.is_open, merged.report_ids) == ("merged", False, (FIRST,))
    again = apply(merged, event(cases.CaseSplit, 5))
    assert (again.state, again.is_open, again.report_ids) == ("registered", True, (FIRST,))
    assert (again.area_id, again.changed_at) == ("A1", AT + timedelta(minutes=5))


def test_closings_and_ratings() -> None:
    case = after(
        cases.CaseDispatched, cases.CaseResolved, cases.CaseVerified, cases.CaseClosed,
        cases.CaseRated, cases.CaseReopened, cases.CaseDispatched, cases.CaseClosed,
    )  # fmt: skip
    assert (case.closings, case.rated, case.seq, case.state) == ((5, 9), (5,), 9, "closed")


def test_a_rating_is_no_change_of_the_case() -> None:
    closed = after(cases.CaseDispatched, cases.CaseResolved, cases.CaseVerified, cases.CaseClosed)
    rated = apply(closed, event(cases.CaseRated, 6))
    assert rated.changed_at == closed.changed_at == AT + timedelta(minutes=5)


def test_reports_join_and_leave() -> None:
    case = after(cases.CaseDispatched, cases.CaseAccepted, cases.ReportMerged)
    assert case.report_ids == (FIRST, SECOND)
    # No step of the case's: whoever acted before it was told did not come too late.
    assert (case.state, case.lead_id, case.changed_at) == (
        "accepted", "L1", AT + timedelta(minutes=3),
    )  # fmt: skip
    case = apply(case, event(cases.ReportMerged, 5, report_id=THIRD))
    assert case.report_ids == (FIRST, SECOND, THIRD)
    case = apply(case, event(cases.ReportSplit, 6))
    assert (case.report_ids, case.seq) == ((FIRST, THIRD), 6)


MERGED = after(cases.ReportMerged)


@pytest.mark.parametrize(
    ("case", "contradiction"),
    [
        (None, event(cases.CaseAccepted, 1)),
        (None, event(cases.CaseRegistered, 2)),
        (MERGED, event(cases.CaseAccepted, 2)),
        (MERGED, event(cases.CaseAccepted, 4)),
        (MERGED, event(cases.CaseRegistered, 3)),
        (MERGED, event(cases.ReportMerged, 3)),
        (MERGED, event(cases.ReportMerged, 3, report_id=FIRST)),
        (MERGED, event(cases.ReportSplit, 3, report_id=FIRST)),
        (MERGED, event(cases.ReportSplit, 3, report_id=THIRD)),
    ],
)
def test_what_is_no_ledger(case: Case | None, contradiction: CaseEvent) -> None:
    with pytest.raises(LedgerBroken):
        fold(case, contradiction)
