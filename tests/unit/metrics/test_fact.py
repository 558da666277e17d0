"""The fold of a ledger into a fact, step by step and in whatever order it is told."""

import random
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastmetre.common.contracts.base import Channel, Origin
from lastmetre.common.contracts.case_model import LedgerBroken
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.metrics.domain.fact import Fact, apply, fold
from tests.unit.metrics.ledgers import CASE, REPORTED, WHOLE_WAY, lead, ledger, step

SHANGHAI = ZoneInfo("Asia/Shanghai")


def after(minutes: float) -> datetime:
    return REPORTED + timedelta(minutes=minutes)


def folded(events: list[CaseEvent]) -> Fact:
    fact = fold(events, SHANGHAI)
    assert fact is not None
    return fact


def test_the_whole_way() -> None:
    fact = folded(ledger(*WHOLE_WAY))
    assert fact == Fact(
        case_id=CASE, seq=8, number="261122-0001",
        report_id=UUID("01930000-0000-7000-8000-0000000000ff"),
        channel="app", sub_channel=None, origin="live", category="06010", source_category=None,
        reported_at=REPORTED, reported_day=date(2026, 11, 22), registered_at=after(0),
        state="closed", open=False, area_id="A01", lead_id="L01", unplaced_reason=None,
        dispatched_at=after(1), accepted_at=after(5), arrived_at=after(20), resolved_at=after(50),
        verified_at=after(60), closed_at=after(61), closing=7, cancelled_at=None,
        cancel_reason=None, returns=0, reopenings=0, rated_at=after(90), rated_closing=7,
        solved=True, score=5, closed_before_reported=False, fixed_on_spot=False, reports=1,
    )  # fmt: skip


WAYS: list[tuple[str, list[Any], dict[str, Any]]] = [
    (
        "nothing but registered",
        [step("registered")],
        {"seq": 1, "state": "registered", "open": True, "dispatched_at": None, "area_id": None},
    ),
    (
        "in the queue",
        [step("registered"), step("unplaced", 0, reason="outside_every_area")],
        {"state": "unplaced", "open": True, "unplaced_reason": "outside_every_area",
         "lead_id": None},
    ),
    (
        "placed by hand: the reason is over",
        [step("registered"), step("unplaced"), step("dispatched", 9, area_id="A02")],
        {"state": "dispatched", "unplaced_reason": None, "area_id": "A02",
         "dispatched_at": after(9)},
    ),
    (
        "closed from the queue: steps nobody recorded are no data, the reason stays",
        [step("registered"), step("unplaced"), step("resolved", 9), step("verified", 9),
         step("closed", 9)],
        {"state": "closed", "open": False, "unplaced_reason": "no_position", "lead_id": None,
         "dispatched_at": None, "accepted_at": None, "arrived_at": None, "closed_at": after(9)},
    ),
    (
        "given back and sent to another: the first times count, the last lead has it",
        [step("registered"), step("dispatched", 1), step("accepted", 2), step("returned", 3),
         step("unplaced", 3, reason="returned"), step("dispatched", 8, lead=lead("L02")),
         step("accepted", 9)],
        {"returns": 1, "dispatched_at": after(1), "accepted_at": after(2), "lead_id": "L02",
         "state": "accepted", "unplaced_reason": None},
    ),
    (
        "given back and still in the queue",
        [step("registered"), step("dispatched", 1), step("returned", 3),
         step("unplaced", 3, reason="returned")],
        {"returns": 1, "state": "unplaced", "lead_id": None, "area_id": None,
         "unplaced_reason": "returned"},
    ),
    (
        "reassigned: accepted by the first lead only",
        [step("registered"), step("dispatched", 1), step("accepted", 2),
         step("reassigned", 3, lead=lead("L09"), area_id="A09")],
        {"state": "dispatched", "lead_id": "L09", "area_id": "A09", "accepted_at": after(2)},
    ),
    (
        "reopened: that closing was none",
        [*WHOLE_WAY, step("reopened", 95)],
        {"open": True, "resolved_at": None, "verified_at": None, "closed_at": None,
         "closing": None, "reopenings": 1, "accepted_at": after(5), "rated_closing": 7,
         "score": 5},
    ),
    (
        "reopened and closed again: the last closing counts",
        [*WHOLE_WAY, step("reopened", 95), step("dispatched", 96, matched_by="reopened"),
         step("resolved", 120), step("verified", 121), step("closed", 122),
         step("rated", 130, closing=13, solved=False, score=2)],
        {"state": "closed", "closed_at": after(122), "closing": 13, "resolved_at": after(120),
         "dispatched_at": after(1), "reopenings": 1, "rated_closing": 13, "solved": False,
         "score": 2},
    ),
    (
        "merged: what it had is counted with the other case; its times stay",
        [step("registered"), step("dispatched", 1), step("report_merged", 2), step("merged", 7)],
        {"state": "merged", "open": False, "reports": 1, "dispatched_at": after(1),
         "closed_at": None, "cancelled_at": None},
    ),
    (
        "merged, and a case of its own again",
        [step("registered"), step("dispatched", 1), step("merged", 7), step("split", 9),
         step("dispatched", 9, matched_by="reopened"), step("resolved", 20), step("verified", 20),
         step("closed", 20)],
        {"state": "closed", "open": False, "reports": 1, "dispatched_at": after(1),
         "closed_at": after(20), "closing": 8},
    ),
    (
        "cancelled",
        [step("registered"), step("dispatched", 1), step("cancelled", 7)],
        {"state": "cancelled", "open": False, "cancel_reason": "Referred Out",
         "cancelled_at": after(7), "closed_at": None},
    ),
    (
        "closed before it was reported",
        [step("registered"), step("dispatched"), step("resolved", -1), step("verified", -1),
         step("closed", -1)],
        {"closed_before_reported": True, "fixed_on_spot": False, "state": "closed"},
    ),
    (
        "closed in the moment it was reported is not before",
        [step("registered"), step("dispatched"), step("resolved"), step("verified"),
         step("closed")],
        {"closed_before_reported": False, "fixed_on_spot": False},
    ),
    (
        "found on patrol, fixed on the spot",
        [step("registered", channel=Channel.PATROL), step("dispatched"), step("resolved"),
         step("verified"), step("closed")],
        {"fixed_on_spot": True, "closed_before_reported": False, "channel": "patrol"},
    ),
    (
        "found on patrol, fixed a minute later",
        [step("registered", channel=Channel.PATROL), step("dispatched"), step("resolved", 1)],
        {"fixed_on_spot": False},
    ),
    (
        "fixed on the spot, reopened, fixed later",
        [step("registered", channel=Channel.PATROL), step("dispatched"), step("resolved"),
         step("verified"), step("closed"), step("reopened", 60, closing=5),
         step("dispatched", 60), step("resolved", 90)],
        {"fixed_on_spot": False, "reopenings": 1},
    ),
    (
        "imported history keeps its origin and source category",
        [step("registered", origin=Origin.IMPORT, source_category="Bulky Items")],
        {"origin": "import", "source_category": "Bulky Items"},
    ),
    (
        "further reports join and change nothing else",
        [step("registered"), step("dispatched", 1), step("accepted", 2),
         step("report_merged", 3), step("report_merged", 4, report_id=UUID(int=8))],
        {"reports": 3, "state": "accepted", "lead_id": "L01", "channel": "app",
         "reported_at": REPORTED, "open": True},
    ),
    (
        "a report that has joined leaves",
        [step("registered"), step("report_merged", 3), step("report_split", 4)],
        {"reports": 1, "state": "registered"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "expected"), [pytest.param(s, e, id=n) for n, s, e in WAYS])
def test_ways(steps: list[Any], expected: dict[str, Any]) -> None:
    fact = folded(ledger(*steps))._asdict()
    assert {name: fact[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("reported_at", "zone", "day"),
    [
        ("2018-01-01T00:00:09-08:00", "America/Los_Angeles", date(2018, 1, 1)),
        ("2018-01-01T07:59:59+00:00", "America/Los_Angeles", date(2017, 12, 31)),
        ("2026-11-22T15:59:59+00:00", "Asia/Shanghai", date(2026, 11, 22)),
        ("2026-11-22T16:00:00+00:00", "Asia/Shanghai", date(2026, 11, 23)),
    ],
)
def test_local_day(reported_at: str, zone: str, day: date) -> None:
    events = ledger(step("registered"), reported_at=datetime.fromisoformat(reported_at))
    fact = fold(events, ZoneInfo(zone))
    assert fact is not None
    assert fact.reported_day == day


def test_a_repetition_changes_nothing() -> None:
    events = ledger(*WHOLE_WAY)
    fact = folded(events)
    for event in events:
        assert apply(fact, event, SHANGHAI) is fact


@pytest.mark.parametrize("at", [0, 2])
def test_a_hole_is_no_ledger(at: int) -> None:
    events = ledger(*WHOLE_WAY)
    del events[at]
    with pytest.raises(LedgerBroken):
        fold(events, SHANGHAI)


def test_a_ledger_begins_with_registered() -> None:
    with pytest.raises(LedgerBroken):
        fold(ledger(step("accepted")), SHANGHAI)


@st.composite
def told(draw: st.DrawFn) -> tuple[list[CaseEvent], list[CaseEvent]]:
    """A ledger, and the same told in another order with repetitions."""
    kinds = draw(
        st.lists(
            st.sampled_from(
                ["dispatched", "unplaced", "accepted", "arrived", "resolved", "returned",
                 "verified", "closed", "cancelled", "rated", "reopened", "reassigned",
                 "report_merged", "report_split"]
            ),
            max_size=12,
        )
    )  # fmt: skip
    minutes = draw(st.lists(st.integers(-5, 5000), min_size=len(kinds), max_size=len(kinds)))
    events = ledger(step("registered"), *(step(k, m) for k, m in zip(kinds, minutes, strict=True)))
    again = draw(st.lists(st.sampled_from(events), max_size=8))
    telling = [*events, *again]
    random.Random(draw(st.integers())).shuffle(telling)
    return events, telling


@given(told())
def test_any_telling_folds_to_the_same_fact(
    both: tuple[list[CaseEvent], list[CaseEvent]],
) -> None:
    events, telling = both
    assert fold(telling, SHANGHAI) == fold(events, SHANGHAI)
