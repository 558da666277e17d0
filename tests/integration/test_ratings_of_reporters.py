"""A case of two reports: each reporter is asked for himself, and the books hold what both said."""

from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from lastmetre.common.contracts.cases import CaseRated, ReportMerged
from lastmetre.common.security.signed_links import LinkPurpose, rating_identity
from lastmetre.devstack import Stack
from tests.integration.test_merged_reports import (
    FIRST,
    SECOND,
    balanced,
    event,
    of_report,
    report_of,
    seen_by_all,
    settled,
)
from tests.support.city import City

pytestmark = pytest.mark.slow

CLOSING: Final = 6


async def test_each_rates_for_himself(town: Stack, town_city: City) -> None:
    await town_city.import_network()
    first = await town_city.report("first", text="Lamp out at the gate", contact=FIRST)
    case_id = await town_city.case_of(first)
    await seen_by_all(town_city, first)
    await settled(town)
    town.stop_process("dispatch")
    second = await town_city.report("second", text="No light", contact=SECOND)
    joined = await report_of(town_city, second)
    await town_city.tell(ReportMerged(**event(case_id, 3), **of_report(joined)))
    town.start_process("dispatch")
    town.wait_ready("dispatch")
    await settled(town)
    assert (await town_city.act(case_id, "resolve")).is_success
    await settled(town)

    own = {report_id: link(town_city, case_id, report_id) for report_id in (None, joined)}
    told = "".join(path.read_text("utf-8") for path in town.home.outbox.rglob("*-closed-*.txt"))
    assert all(each in told for each in own.values()), "each message has its reader's own link"
    for receipt, report_id in ((first, None), (second, joined)):
        identity = town_city.links.open(LinkPurpose.RECEIPT, receipt) or b""
        secret = town_city.links.seal(LinkPurpose.PROGRESS, identity)
        page = await town_city.http.get(f"{town_city.url('intake', '/progress')}/{secret}")
        assert f"/rate/{own[report_id]}?" in page.text, "and so has his progress page"
    verdicts: dict[UUID | None, dict[str, Any]] = {
        None: {"solved": True, "score": 5},
        joined: {"solved": False, "score": 2},
    }
    for report_id, verdict in verdicts.items():
        assert (await rate(town_city, own[report_id], verdict)).status_code == 202
        again = await rate(town_city, own[report_id], {"solved": True, "score": 1})
        assert (again.status_code, again.json()["score"]) == (200, verdict["score"])
    await settled(town)
    assert await ratings(town_city, case_id) == [(None, True, 5), (joined, False, 2)]
    lines = await balanced(town)
    assert lines["ratings"].total() == lines["feedback_told"].total() == 2

    for report_id, stars in ((None, "5 of 5"), (joined, "2 of 5")):
        page = await town_city.http.get(
            f"{town_city.url('notify', '/rate')}/{own[report_id]}?lang=en"
        )
        assert stars in page.text
        assert "Your rating is recorded" in page.text
    asked = await town_city.http.post(f"{town_city.url('notify', '/rate')}/{own[joined]}/reopen")
    assert asked.status_code == 303
    await settled(town)
    assert "reopened" in await town_city.ledger(case_id)
    await balanced(town)
    for report_id, taken_up in ((None, False), (joined, True)):
        page = await town_city.http.get(
            f"{town_city.url('notify', '/rate')}/{own[report_id]}?lang=en"
        )
        assert ("It is taken up again, as you asked" in page.text) is taken_up


def link(city: City, case_id: UUID, report_id: UUID | None) -> str:
    return city.links.seal(LinkPurpose.RATE, rating_identity(case_id, CLOSING, report_id))


async def rate(city: City, token: str, verdict: dict[str, Any]) -> httpx.Response:
    return await city.http.post(city.url("notify", f"/api/notify/v1/ratings/{token}"), json=verdict)


async def ratings(city: City, case_id: UUID) -> list[tuple[UUID | None, bool, int]]:
    """What the ledger says of who rated how."""
    rows = await (await city.database("dispatch")).fetch(
        "SELECT body FROM ledger"
        " WHERE case_id = $1 AND type = 'lastmetre.case.rated.v1' ORDER BY seq",
        case_id,
    )
    events = [CaseRated.from_json(row["body"]) for row in rows]
    return [(each.report_id, each.solved, each.score) for each in events]
