"""A case's kind or place is corrected: what each reader of the ledger makes of it (A30, A13)."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import (
    SYSTEM,
    Actor,
    ActorRole,
    Channel,
    Language,
    Origin,
    Position,
)
from lastmetre.common.contracts.case_model import Case, fold
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered, LocalName, PublishedLead
from lastmetre.intake.domain.case_view import STAFF_ONLY, CaseView, entry
from lastmetre.metrics.domain import fact
from lastmetre.notify.domain import case_projection

AT = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
CASE, REPORT = UUID(int=1), UUID(int=2)
OPERATOR = Actor(role=ActorRole.OPERATOR, id="zhou")
NAME = LocalName(zh="李敏", en="Li Min")


def event(kind: type[CaseEvent], seq: int, actor: Actor = SYSTEM, **facts: Any) -> CaseEvent:
    at = AT + timedelta(minutes=seq)
    common = {"case_id": CASE, "seq": seq, "occurred_at": at, "recorded_at": at, "actor": actor}
    return kind.model_validate(common | facts)


LEDGER = [
    event(
        CaseRegistered, 1, number="261122-0001", report_id=REPORT, channel=Channel.APP,
        origin=Origin.LIVE, category="part:01002", source_category="A7", reported_at=AT,
        reporter_reachable=True, language=Language.CHINESE,
    ),
    event(
        cases.CaseDispatched, 2, area_id="A1", matched_by="position", network_version=1,
        lead=PublishedLead(lead_id="li", name=NAME, post=NAME),
    ),
    event(
        cases.CategoryChanged, 3, OPERATOR, category="matter:06010",
        previous_category="part:01002", reason="said_in_report",
    ),
]  # fmt: skip


def case_after(events: list[CaseEvent]) -> Case:
    case: Case | None = None
    for each in events:
        case = fold(case, each)
    assert case is not None
    return case


def test_the_case_is_of_the_new_kind_and_otherwise_as_it_was() -> None:
    before, after = case_after(LEDGER[:2]), case_after(LEDGER)
    assert after.category == "matter:06010"
    assert after == before._replace(category="matter:06010", seq=3)


def test_the_figures_count_it_as_the_new_kind() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    before, after = fact.fold(LEDGER[:2], zone), fact.fold(LEDGER, zone)
    assert before
    assert after == before._replace(category="matter:06010", seq=3)
    assert after.source_category == "A7", "what its sender called it stays"


def test_nobody_is_written_to_and_later_messages_name_the_new_kind() -> None:
    told = case_projection.first(LEDGER[0])
    told = case_projection.apply(told, LEDGER[1], 2)
    assert case_projection.messages_for(told, LEDGER[2]) == []
    told = case_projection.apply(told, LEDGER[2], 0)
    assert (told.category, told.seq, told.state, told.lead_id) == (
        "matter:06010", 3, "dispatched", "li",
    )  # fmt: skip


def test_its_reporter_sees_the_new_kind_and_not_who_corrected_it() -> None:
    view = CaseView(CASE, "261122-0001", 1, [entry(each) for each in LEDGER])
    assert (view.category, view.state, view.area_id) == ("matter:06010", "dispatched", "A1")
    assert view.timeline[-1].details == {"category": "matter:06010"}
    assert CaseView(CASE, "261122-0001", 1, view.timeline[:2]).category is None


PLACE = Position(latitude=24.05, longitude=112.88)
LOCATED = [
    *LEDGER[:2],
    event(
        cases.LocationChanged, 3, OPERATOR, position=PLACE, accuracy_metres=50,
        reason="said_by_reporter",
    ),
]  # fmt: skip


def test_the_case_is_at_the_new_place_and_whoever_has_it_keeps_it() -> None:
    before, after = case_after(LOCATED[:2]), case_after(LOCATED)
    assert after == before._replace(position=PLACE, accuracy_metres=50, seq=3)


def test_a_new_place_is_nothing_to_figures_and_messages() -> None:
    zone = ZoneInfo("Asia/Shanghai")
    before = fact.fold(LOCATED[:2], zone)
    assert before
    assert fact.fold(LOCATED, zone) == before._replace(seq=3)
    told = case_projection.apply(case_projection.first(LOCATED[0]), LOCATED[1], 2)
    assert case_projection.messages_for(told, LOCATED[2]) == []
    assert case_projection.apply(told, LOCATED[2], 0) == told._replace(seq=3)


def test_its_reporter_is_told_no_more_than_that_it_was_corrected() -> None:
    line = entry(LOCATED[2])
    assert (line.type, line.details) == ("location_changed", {})


def test_a_note_is_nothing_to_anybody_but_staff() -> None:
    noted = event(cases.CaseNoted, 3, OPERATOR, note_id=UUID(int=7))
    ledger = [*LEDGER[:2], noted]
    assert case_after(ledger) == case_after(ledger[:2])._replace(seq=3)
    told = case_projection.apply(case_projection.first(ledger[0]), ledger[1], 2)
    assert case_projection.messages_for(told, noted) == []
    assert (entry(noted).type in STAFF_ONLY, entry(noted).details) == (True, {})
