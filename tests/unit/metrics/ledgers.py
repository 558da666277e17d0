"""Ledgers of made-up cases, short to write down."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import CaseEvent, LocalName, PublishedLead

REPORTED = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
"""In the evening in UTC, on the next morning in Shanghai."""
CASE = UUID("01930000-0000-7000-8000-000000000001")
REPORT = UUID("01930000-0000-7000-8000-0000000000ff")

_KINDS: dict[str, type[CaseEvent]] = {
    "registered": cases.CaseRegistered,
    "dispatched": cases.CaseDispatched,
    "reassigned": cases.CaseReassigned,
    "unplaced": cases.CaseUnplaced,
    "accepted": cases.CaseAccepted,
    "arrived": cases.CaseArrived,
    "resolved": cases.CaseResolved,
    "returned": cases.CaseReturned,
    "verified": cases.CaseVerified,
    "closed": cases.CaseClosed,
    "cancelled": cases.CaseCancelled,
    "rated": cases.CaseRated,
    "reopened": cases.CaseReopened,
    "report_merged": cases.ReportMerged,
    "report_split": cases.ReportSplit,
    "merged": cases.CaseMerged,
    "split": cases.CaseSplit,
}

_OF_TWO_CASES: dict[str, dict[str, Any]] = {
    "report_split": {"report_id": UUID(int=9), "split_case_id": UUID(int=10)},
    "merged": {"into_case_id": UUID(int=10), "report_ids": (REPORT, UUID(int=9))},
    "split": {"from_case_id": UUID(int=10)},
}

Step = tuple[str, float, dict[str, Any]]


def step(kind: str, minutes: float = 0, **more: Any) -> Step:
    """A step so many minutes after the report; `more` replaces fields of the event."""
    return kind, minutes, more


def ledger(*steps: Step, case_id: UUID = CASE, reported_at: datetime = REPORTED) -> list[CaseEvent]:
    """The events of a case, numbered from 1."""
    return [
        _KINDS[kind].model_validate(
            {
                "case_id": case_id,
                "seq": seq,
                "occurred_at": reported_at + timedelta(minutes=minutes),
                "recorded_at": reported_at + timedelta(minutes=minutes),
                "actor": SYSTEM,
            }
            | _usual(kind, reported_at)
            | more
        )
        for seq, (kind, minutes, more) in enumerate(steps, 1)
    ]


def lead(lead_id: str = "L01") -> PublishedLead:
    """An area lead as published."""
    return PublishedLead(
        lead_id=lead_id,
        name=LocalName(zh="李敏", en="Li Min"),
        post=LocalName(zh="片长", en="Area lead"),
    )


def _usual(kind: str, reported_at: datetime) -> dict[str, Any]:
    match kind:
        case "registered":
            return {
                "number": "261122-0001", "report_id": REPORT, "channel": Channel.APP,
                "origin": Origin.LIVE, "category": "06010", "reported_at": reported_at,
                "reporter_reachable": True, "language": Language.CHINESE,
            }  # fmt: skip
        case "dispatched" | "reassigned":
            return {
                "area_id": "A01", "lead": lead(), "matched_by": "position",
                "network_version": 1, "previous_lead_id": "L00",
            }  # fmt: skip
        case "unplaced":
            return {"reason": "no_position"}
        case "returned":
            return {"lead_id": "L01", "reason": "wrong_area"}
        case "cancelled":
            return {"reason": "Referred Out"}
        case "rated":
            return {"feedback_id": UUID(int=7), "closing": 7, "solved": True, "score": 5}
        case "reopened":
            return {"closing": 7}
        case "report_merged":
            return {
                "report_id": UUID(int=9), "channel": Channel.HOTLINE, "origin": Origin.LIVE,
                "category": "06010", "reported_at": reported_at, "reporter_reachable": True,
                "language": Language.CHINESE,
            }  # fmt: skip
    return _OF_TWO_CASES.get(kind, {})


WHOLE_WAY: Sequence[Step] = (
    step("registered", 0),
    step("dispatched", 1),
    step("accepted", 5),
    step("arrived", 20),
    step("resolved", 50),
    step("verified", 60),
    step("closed", 61),
    step("rated", 90),
)
