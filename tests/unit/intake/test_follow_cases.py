"""Following the ledger: what cannot be a case's beginning is an error of that record."""

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import CaseAccepted, CaseEvent, ReportMerged, ReportSplit
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.intake.adapters.postgres import cases
from lastmetre.intake.application.follow_cases import follow_cases

NOW = datetime(2026, 11, 22, tzinfo=UTC)
CASE = UUID(int=1)


class _Work:
    connection = None

    async def parked(self, keys: list[UUID]) -> dict[UUID, list[ConsumedRecord]]:
        return {}


async def test_a_ledger_begins_with_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_is_known(*_: Any) -> dict[UUID, int]:
        return {}

    monkeypatch.setattr(cases, "last_seqs", none_is_known)
    event = CaseAccepted(case_id=CASE, seq=1, occurred_at=NOW, recorded_at=NOW, actor=SYSTEM)
    headers = [("ce_type", CaseAccepted.TYPE.encode())]
    record = ConsumedRecord("case.events", 0, 0, 0, str(CASE).encode(), event.to_json(), headers)
    with pytest.raises(BadRecord, match="begins with its registration"):
        await follow_cases(cast("UnitOfWork", _Work()), [record])


async def test_reports_that_join_and_leave_in_one_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has left is removed; what has joined and is there still is added."""
    written: dict[str, Any] = {}

    def noting(name: str, answer: Any = None) -> Any:
        async def note(_: Any, rows: Any) -> Any:
            written[name] = rows
            return answer

        return note

    monkeypatch.setattr(cases, "last_seqs", noting("asked", {CASE: 2}))
    for name in ("move", "append_timelines", "add_merged", "remove_merged"):
        monkeypatch.setattr(cases, name, noting(name))
    ledger: list[CaseEvent] = [
        joins(3, GOES), joins(4, STAYS), leaves(5, GOES), leaves(6, RETURNS), joins(7, RETURNS),
    ]  # fmt: skip
    records = [
        ConsumedRecord(
            "case.events", 0, 0, 0, str(CASE).encode(), each.to_json(),
            [("ce_type", each.TYPE.encode())],
        )
        for each in ledger
    ]  # fmt: skip
    await follow_cases(cast("UnitOfWork", _Work()), records)
    assert written["move"] == [(CASE, 7)]
    assert written["remove_merged"] == [(GOES, CASE), (RETURNS, CASE)]
    assert {(each.report_id, each.case_id) for each in written["add_merged"]} == {
        (STAYS, CASE), (RETURNS, CASE),
    }  # fmt: skip
    assert list(written) == ["asked", "move", "append_timelines", "remove_merged", "add_merged"]


GOES, STAYS, RETURNS = (UUID(int=each) for each in (7, 8, 9))


def joins(seq: int, report_id: UUID) -> CaseEvent:
    return ReportMerged(
        case_id=CASE, seq=seq, occurred_at=NOW, recorded_at=NOW, actor=SYSTEM, report_id=report_id,
        channel=Channel.APP, origin=Origin.LIVE, category="unknown", reported_at=NOW,
        reporter_reachable=True, language=Language.CHINESE,
    )  # fmt: skip


def leaves(seq: int, report_id: UUID) -> CaseEvent:
    return ReportSplit(
        case_id=CASE, seq=seq, occurred_at=NOW, recorded_at=NOW, actor=SYSTEM, report_id=report_id,
        split_case_id=UUID(int=10),
    )  # fmt: skip
