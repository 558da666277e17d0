"""Residents' pages and the vault's API on a real broker and database."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import (
    CaseAccepted,
    CaseDispatched,
    CaseRegistered,
    LocalName,
    PublishedLead,
)
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.security.callers import Role
from tests.support.city import IntakeAlone, eventually

pytestmark = pytest.mark.slow

LEAD = PublishedLead.model_validate(
    {
        "lead_id": "L1",
        "name": {"zh": "李敏", "en": "Li Min"},
        "post": {"zh": "片长", "en": "Area lead"},
    }
)


@pytest.fixture
async def city(intake_city: IntakeAlone) -> AsyncIterator[IntakeAlone]:
    async with intake_city.running() as opened:
        yield opened


def report(source_id: str, **fields: object) -> dict[str, object]:
    return {"source_id": source_id, "text": "路灯不亮"} | fields


async def test_the_ledger_as_its_reporter_sees_it(city: IntakeAlone) -> None:
    running = await city.start()
    async with running.client() as client:
        contact = {"phone": "13800138000", "email": "wang@example.org"}
        taken = await client.post(
            "/channels/hotline/reports",
            json=report("1", contact=contact, address="滨江路 128 号"),
            headers=city.credentials.channel("hotline"),
        )
        await city.until_read()
        report_id = (await city.fetch("SELECT report_id FROM report"))[0][0]
        case_id, now = uuid4(), datetime.now(UTC) - timedelta(minutes=5)
        common: dict[str, Any] = {
            "case_id": case_id,
            "occurred_at": now,
            "recorded_at": now,
            "actor": SYSTEM,
        }
        ledger: list[cases.CaseEvent] = [
            CaseRegistered(
                **common, seq=1, number="261122-0418", report_id=report_id,
                channel=Channel.HOTLINE, origin=Origin.LIVE, category="unknown", reported_at=now,
                reporter_reachable=True, language=Language.CHINESE,
            ),
            CaseDispatched(
                **common, seq=2, area_id="A1", lead=LEAD, matched_by="position", network_version=1
            ),
            CaseAccepted(**common, seq=3),
        ]  # fmt: skip
        # Out of order, and one twice: what comes too early waits.
        for event in (ledger[2], ledger[0], ledger[0], ledger[1]):
            await city.tell(event)
        square = [[113.0, 23.0], [114.0, 23.0], [114.0, 24.0], [113.0, 24.0], [113.0, 23.0]]
        area = AreaPublished(
            area_id="A1",
            name=LocalName(zh="滨江一片", en="Riverside 1"),
            outline={"type": "Polygon", "coordinates": [square]},
            lead=LEAD,
            network_version=1,
        )
        await city.tell(area)
        broken = area.model_copy(update={"area_id": "A2", "outline": {"type": "Point"}})
        await city.tell(broken)

        async def accepted() -> bool:
            shown = await client.get(f"/cases/{taken.json()['receipt']}")
            return bool(shown.json()["state"] == "accepted")

        await eventually(accepted)
        shown = (await client.get(f"/cases/{taken.json()['receipt']}")).json()
        assert [entry["seq"] for entry in shown["timeline"]] == [1, 2, 3]
        assert shown["lead"]["name"]["en"] == "Li Min"
        assert "13800138000" not in json.dumps(shown)

        page = taken.json()["progress_url"].removeprefix("http://intake")
        text = (await client.get(page + "?lang=en")).text
        assert "Li Min has accepted it" in text
        assert "滨江路 128 号" in text
        assert "261122-0418" in text
        assert "Riverside 1" in (await client.get("/report?lang=en")).text
        assert (await client.get("/progress/x")).status_code == 404

        form = {"number": "YQ 261122 0418", "tail": "8000"}
        found = await client.post("/progress", data=form)
        assert (found.status_code, found.headers["location"]) == (303, page)
        wrong = [await client.post("/progress", data=form | {"tail": f"{n}000"}) for n in range(6)]
        assert [each.status_code for each in wrong] == [404] * 5 + [429]
        assert (await client.post("/progress", data=form)).status_code == 429

        await vault_routes(city, client, str(report_id))


async def vault_routes(city: IntakeAlone, client: httpx.AsyncClient, report_id: str) -> None:
    """Each route is open to the one who needs it; that a person reads is noted."""
    base, asked = "/api/intake/v1", {"report_ids": [report_id]}
    kept = await client.put(
        f"{base}/lead-contacts",
        headers=city.credentials.bearer(Role.ADMINISTRATOR),
        json={"contacts": [{"lead_id": "L1", "phone": "13900000001"}]},
    )
    assert kept.json() == {"kept": 1}
    contacts = (
        await client.post(
            f"{base}/contacts",
            headers=city.credentials.service("notify"),
            json=asked | {"lead_ids": ["L1"]},
        )
    ).json()
    assert contacts["reports"][report_id]["email"] == "wang@example.org"
    assert contacts["leads"]["L1"]["phone"] == "+8613900000001"
    texts = (
        await client.post(f"{base}/texts", headers=city.credentials.service("dispatch"), json=asked)
    ).json()
    assert texts["reports"][report_id]["phone_masked"] == "138****8000"
    look = {"report_id": report_id, "actor": "lead:L1"}
    full = await client.post(
        f"{base}/contacts/look", headers=city.credentials.service("dispatch"), json=look
    )
    assert full.json()["phone"] == "13800138000"
    noted = await city.fetch("SELECT actor, asked_by FROM contact_look")
    assert [tuple(row) for row in noted] == [("lead:L1", "service:dispatch")]
    for path, headers in (
        ("contacts", city.credentials.service("dispatch")),
        ("texts", city.credentials.service("notify")),
        ("contacts/look", city.credentials.bearer(Role.ADMINISTRATOR)),
        ("lookup", city.credentials.channel("app")),
    ):
        refused = await client.post(f"{base}/{path}", headers=headers, json=asked)
        assert refused.status_code == 403


async def test_the_form_counts_a_double_click_once(city: IntakeAlone) -> None:
    running = await city.start()
    form = {
        "source_id": str(uuid4()),
        "text": "井盖坏了",
        "address": "书院巷 12 号",
        "category": "06010",
    }
    async with running.client() as client:
        answers = [await client.post("/report", data=form) for _ in range(2)]
        assert {each.status_code for each in answers} == {303}
        assert answers[0].headers["location"] == answers[1].headers["location"]
        assert (await client.get(answers[0].headers["location"])).status_code == 200
        nothing = await client.post("/report", data={"phone": "1"})
        assert nothing.status_code == 422
    assert await city.until_read() == Counter(accepted=1, repeated=1)
    row = (await city.fetch("SELECT channel, sender, category FROM report"))[0]
    assert tuple(row) == ("app", "web-form", "06010")
