"""Events of one case, for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered, LocalName, PublishedLead

CASE = UUID("01936a5e-0000-7000-8000-000000000001")
REPORT = UUID("01936a5d-0000-7000-8000-000000000001")
FURTHER_REPORT = UUID("01936a5d-0000-7000-8000-000000000002")
BEGUN = datetime(2026, 11, 22, 6, 46, tzinfo=UTC)


def lead(lead_id: str, zh: str = "李敏", en: str = "Li Min") -> PublishedLead:
    return PublishedLead(
        lead_id=lead_id,
        name=LocalName(zh=zh, en=en),
        post=LocalName(zh="片长", en="Area lead"),
    )


LI = lead("L001")
WANG = lead("L002", "王建国", "Wang Jianguo")


def _common(case_id: UUID, seq: int) -> dict[str, Any]:
    at = BEGUN + timedelta(minutes=seq)
    return {"case_id": case_id, "seq": seq, "occurred_at": at, "recorded_at": at, "actor": SYSTEM}


def registered(
    *,
    case_id: UUID = CASE,
    report_id: UUID = REPORT,
    number: str = "261122-0418",
    reachable: bool = True,
    origin: Origin = Origin.LIVE,
    language: Language = Language.CHINESE,
    category: str = "unknown",
) -> CaseRegistered:
    return CaseRegistered(
        **_common(case_id, 1),
        number=number,
        report_id=report_id,
        channel=Channel.APP,
        origin=origin,
        category=category,
        reported_at=BEGUN,
        reporter_reachable=reachable,
        language=language,
    )


_FURTHER: dict[type[CaseEvent], dict[str, Any]] = {
    cases.CaseDispatched: {
        "area_id": "A1", "lead": LI, "matched_by": "position", "network_version": 1,
    },
    cases.CaseReassigned: {
        "area_id": "A2", "lead": WANG, "matched_by": "operator", "network_version": 1,
        "previous_lead_id": "L001",
    },
    cases.CaseUnplaced: {"reason": "no_position"},
    cases.CaseReturned: {"lead_id": "L001", "reason": "wrong_area"},
    cases.CaseCancelled: {"reason": "duplicate"},
    cases.CategoryChanged: {
        "category": "part:01002", "previous_category": "unknown", "reason": "said_in_report",
    },
    cases.LocationChanged: {
        "position": {"latitude": 0.5, "longitude": 0.5}, "accuracy_metres": 50,
        "reason": "seen_on_site",
    },
    cases.CaseNoted: {"note_id": UUID(int=8)},
    cases.CaseRated: {
        "feedback_id": REPORT, "closing": 5, "solved": True, "score": 5,
    },
    cases.CaseReopened: {"closing": 5},
    cases.ReportMerged: {
        "report_id": FURTHER_REPORT, "channel": Channel.HOTLINE, "origin": Origin.LIVE,
        "category": "unknown", "reported_at": BEGUN, "reporter_reachable": True,
        "language": Language.ENGLISH,
    },
    cases.ReportSplit: {"report_id": FURTHER_REPORT, "split_case_id": UUID(int=9)},
    cases.CaseMerged: {"into_case_id": UUID(int=9), "report_ids": (REPORT,)},
    cases.CaseSplit: {"from_case_id": UUID(int=9)},
}  # fmt: skip


def event(kind: type[CaseEvent], seq: int, *, case_id: UUID = CASE, **facts: Any) -> CaseEvent:
    return kind(**_common(case_id, seq), **(_FURTHER.get(kind, {}) | facts))
