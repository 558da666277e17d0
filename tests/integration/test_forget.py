"""What is personal of a report is erased: on request, and when it is old and at its end."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.intake.adapters.vault_cipher import Vault
from lastmetre.intake.application.forget_reports import ForgetOldReports, ForgetReport
from tests.support.city import IntakeAlone, eventually

pytestmark = pytest.mark.slow


def ledger_of(report_id: UUID, number: str, *, closed: bool) -> list[CaseEvent]:
    now = datetime.now(UTC)
    common: dict[str, Any] = {
        "case_id": uuid4(), "occurred_at": now, "recorded_at": now, "actor": SYSTEM,
    }  # fmt: skip
    events: list[CaseEvent] = [
        cases.CaseRegistered(
            **common, seq=1, number=number, report_id=report_id, channel=Channel.HOTLINE,
            origin=Origin.LIVE, category="unknown", reported_at=now, reporter_reachable=True,
            language=Language.CHINESE,
        ),
        cases.CaseUnplaced(**common, seq=2, reason="no_position"),
    ]  # fmt: skip
    if closed:
        for seq, kind in enumerate((cases.CaseResolved, cases.CaseVerified, cases.CaseClosed), 3):
            events.append(kind(**common, seq=seq))
    return events


async def test_on_request_and_by_age(intake_city: IntakeAlone) -> None:
    key = base64.urlsafe_b64decode(intake_city.environment["INTAKE_VAULT_KEY"])
    vault = Vault(key)
    async with intake_city.running() as city:
        running = await city.start()
        async with running.client() as client:

            async def send(name: str, text: str = "路灯不亮") -> str:
                contact = {"name": name, "phone": "13800138000"}
                body = {"source_id": name, "text": text, "contact": contact}
                answer = await client.post(
                    "/channels/hotline/reports",
                    json=body,
                    headers=city.credentials.channel("hotline"),
                )
                return str(answer.json()["progress_url"]).removeprefix("http://intake")

            pages = {name: await send(name) for name in ("closed", "open", "asked")}
            await send("asked", "something else")
            await city.until_read()
            rows = await city.fetch("SELECT source_id, report_id FROM report")
            reports = {row[0]: row[1] for row in rows}
            for number, (name, report_id) in enumerate(sorted(reports.items()), 1):
                for event in ledger_of(report_id, f"261122-{number:07}", closed=name == "closed"):
                    await city.tell(event)

            async def told() -> bool:
                return bool(await city.value("SELECT count(*) FROM case_view WHERE seq > 1") == 3)

            await eventually(told)

            async with city.connection() as connection:
                tomorrow = datetime.now(UTC) + timedelta(days=1)
                yesterday = datetime.now(UTC) - timedelta(days=1)
                planned = await ForgetOldReports(connection, dry_run=True)(tomorrow)
                assert (planned.reports, await city.value("SELECT count(*) FROM vault")) == (1, 3)
                assert (await ForgetOldReports(connection, dry_run=False)(yesterday)).reports == 0
                assert (await ForgetOldReports(connection, dry_run=False)(tomorrow)).reports == 1

                case_number = str(await city.value(
                    "SELECT number FROM case_view WHERE report_id = $1", reports["asked"]
                ))  # fmt: skip
                for dry_run, erased in ((True, 1), (False, 1), (False, 0)):
                    done = await ForgetReport(connection, dry_run=dry_run).of_case(case_number)
                    assert done is not None
                    assert done.reports == erased

            left = await city.fetch("SELECT report_id, sealed FROM vault")
            assert [row[0] for row in left] == [reports["open"]]
            assert "路灯不亮".encode() in vault.open(left[0][1], left[0][0].bytes)
            assert (
                await city.value("SELECT count(*) FROM later_record WHERE sealed IS NOT NULL") == 0
            )
            for name, page in pages.items():
                shown = await client.get(page)
                assert (shown.status_code, "路灯不亮" in shown.text) == (200, name == "open")
