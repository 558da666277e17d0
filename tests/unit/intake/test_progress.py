"""The reporter's view of a case: folded from the ledger, shown in five steps."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.cases import (
    CaseAccepted,
    CaseCancelled,
    CaseClosed,
    CaseDispatched,
    CaseEvent,
    CaseNoted,
    CaseRated,
    CaseRegistered,
    CaseReopened,
    CaseResolved,
    CaseReturned,
    CaseUnplaced,
    CaseVerified,
    ReportMerged,
    ReportSplit,
)
from lastmetre.intake.domain.case_view import CaseView, Followed, entry
from lastmetre.intake.domain.progress import steps

BEGIN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
CASE, REPORT = UUID(int=1), UUID(int=2)
LEAD = {
    "lead_id": "L1",
    "name": {"zh": "李敏", "en": "Li Min"},
    "post": {"zh": "片长", "en": "Lead"},
}


def ledger(*kinds: type[CaseEvent]) -> list[CaseEvent]:
    extra: dict[type[CaseEvent], dict[str, Any]] = {
        CaseRegistered: {
            "number": "261122-0001",
            "report_id": REPORT,
            "channel": "app",
            "origin": "live",
            "category": "06010",
            "reported_at": BEGIN,
            "reporter_reachable": False,
            "language": "zh",
        },
        CaseDispatched: {
            "area_id": "A1",
            "lead": LEAD,
            "matched_by": "position",
            "network_version": 1,
        },
        CaseUnplaced: {"reason": "returned"},
        CaseReturned: {"lead_id": "L1", "reason": "wrong_area"},
        CaseRated: {"feedback_id": REPORT, "closing": 5, "solved": False, "score": 1},
        CaseCancelled: {"reason": "nothing_found"},
        CaseReopened: {"closing": 5},
        CaseNoted: {"note_id": UUID(int=4), "action_id": UUID(int=5)},
        ReportMerged: {
            "report_id": UUID(int=3),
            "channel": "hotline",
            "origin": "live",
            "category": "06010",
            "reported_at": BEGIN,
            "reporter_reachable": True,
            "language": "zh",
        },
        ReportSplit: {"report_id": UUID(int=3), "split_case_id": UUID(int=4)},
    }
    return [
        kind.model_validate(
            {
                "case_id": CASE,
                "seq": seq,
                "occurred_at": BEGIN + timedelta(minutes=seq),
                "recorded_at": BEGIN + timedelta(minutes=seq),
                "actor": SYSTEM,
            }
            | extra.get(kind, {})
        )
        for seq, kind in enumerate(kinds, start=1)
    ]


def view_of(events: Sequence[CaseEvent]) -> CaseView:
    return CaseView(CASE, "261122-0001", 1, [entry(event) for event in events])


def shown(*kinds: type[CaseEvent]) -> str:
    view = view_of(ledger(*kinds))
    marks = {"past": "#", "now": ">", "skipped": "~", "": "."}
    return "".join(
        marks[step.kind] + ("t" if step.at else "-")
        for step in steps(view.state, BEGIN, view.timeline)
    )


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((CaseRegistered,), ">t.-.-.-.-"),
        ((CaseRegistered, CaseUnplaced), ">t.-.-.-.-"),
        ((CaseRegistered, CaseDispatched), "#t>t.-.-.-"),
        ((CaseRegistered, CaseDispatched, CaseAccepted), "#t#t>t.-.-"),
        # Nobody took it on or arrived: no time is invented, and nothing ticked (A2).
        ((CaseRegistered, CaseDispatched, CaseResolved), "#t#t~-~->t"),
        (
            (CaseRegistered, CaseDispatched, CaseResolved, CaseVerified, CaseClosed),
            "#t#t~-~-#t",
        ),
        # The centre closed it at its desk: it was sent to nobody.
        (
            (CaseRegistered, CaseUnplaced, CaseResolved, CaseVerified, CaseClosed),
            "#t~-~-~-#t",
        ),
        ((CaseRegistered, CaseDispatched, CaseAccepted, CaseReturned, CaseUnplaced), ">t.-.-.-.-"),
        (
            (
                CaseRegistered,
                CaseDispatched,
                CaseResolved,
                CaseVerified,
                CaseClosed,
                CaseReopened,
                CaseDispatched,
            ),
            "#t>t.-.-.-",
        ),
    ],
)
def test_steps(kinds: tuple[type[CaseEvent], ...], expected: str) -> None:
    assert shown(*kinds) == expected


CLOSED = (CaseRegistered, CaseDispatched, CaseResolved, CaseVerified, CaseClosed)


def followed(events: Sequence[CaseEvent], report_id: UUID = REPORT) -> Followed:
    """The case as the reporter of that report sees it."""
    return Followed(
        report_id, b"", "app", "accepted", [], "06010", BEGIN, None, None, view_of(events),
        joined=report_id != REPORT,
    )  # fmt: skip


def test_a_rating_is_of_one_closing() -> None:
    assert followed(ledger(*CLOSED)).found_solved is None
    assert view_of(ledger(CaseRegistered)).closing is None
    rated = ledger(*CLOSED, CaseRated)
    assert (view_of(rated).closing, followed(rated).found_solved) == (5, False)
    again = ledger(*CLOSED, CaseRated, CaseReopened, CaseDispatched, CaseClosed)
    assert (view_of(again).closing, followed(again).found_solved) == (9, None)


def test_each_reporter_is_shown_his_own_rating_alone() -> None:
    *before, first, second = ledger(*CLOSED, CaseRated, CaseRated)
    joined = UUID(int=3)
    second = second.model_copy(update={"report_id": joined, "solved": True, "score": 5})
    told = {
        report_id: [
            (each.details["solved"], each.details["score"])
            for each in followed([*before, first, second], report_id).timeline
            if each.type == "rated"
        ]
        for report_id in (REPORT, joined, UUID(int=7))
    }
    assert told == {REPORT: [(False, 1)], joined: [(True, 5)], UUID(int=7): []}
    assert followed([*before, first], joined).found_solved is None
    assert followed([*before, first, second], joined).found_solved is True


def test_lead_is_published_and_forgotten_when_unplaced() -> None:
    view = view_of(ledger(CaseRegistered, CaseDispatched))
    assert view.lead is not None
    assert view.lead.name.en == "Li Min"
    assert view.timeline[1].type == "dispatched"
    assert view.area_id == "A1"
    view = view_of(ledger(CaseRegistered, CaseDispatched, CaseReturned, CaseUnplaced))
    assert view.lead is None
    assert view.area_id is None
    assert view.state == "unplaced"


def test_reports_that_join_or_leave_change_no_step_and_say_nothing_of_others() -> None:
    view = view_of(ledger(CaseRegistered, CaseDispatched, ReportMerged, ReportSplit))
    assert [each.type for each in view.timeline[2:]] == ["report_merged", "report_split"]
    assert [each.details for each in view.timeline[2:]] == [{}, {}]
    assert (view.state, view.seq, view.area_id) == ("dispatched", 4, "A1")
    assert shown(CaseRegistered, CaseDispatched, ReportMerged) == shown(
        CaseRegistered, CaseDispatched
    )


def test_between_two_events_of_one_decision_nobody_has_the_case() -> None:
    view = view_of(ledger(CaseRegistered, CaseDispatched, CaseReturned))
    assert (view.state, view.area_id, view.lead) == ("unplaced", None, None)
