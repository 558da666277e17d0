"""A report that joins a case and leaves it again, told on the ledger: what each reader makes of it,
and each of its reporters of what was done.

Nobody decides merging yet. The events are written as dispatch would write them while it is away,
and it takes them in when it comes back, before it reads the report.
"""

import json
import re
import uuid
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
import pytest

from lastmetre.cli.endpoints import SENDERS
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Origin
from lastmetre.common.contracts.cases import (
    CaseRated,
    CaseRegistered,
    CaseUnplaced,
    ReportMerged,
    ReportSplit,
)
from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose, rating_identity
from lastmetre.devstack import Stack
from tests.support import books
from tests.support.city import City

pytestmark = pytest.mark.slow

FIRST: Final = {"phone": "13800138000", "language": "en"}
SECOND: Final = {"phone": "13900139001", "language": "en"}
CLOSING: Final = 6
"""The event that closes a case of two reports that is resolved at once."""


async def report_of(city: City, receipt: str) -> UUID:
    """The id that intake gave a report, once it has read it."""
    identity = city.links.open(LinkPurpose.RECEIPT, receipt)
    intake = await city.database("intake")

    async def read() -> UUID | None:
        found: UUID | None = await intake.fetchval(
            "SELECT report_id FROM report WHERE identity = $1", identity
        )
        return found

    return await city.until(read, "report")


async def settled(town: Stack) -> None:
    left = await books.quiet(town.endpoints)
    assert not left, left


async def balanced(town: Stack) -> dict[str, Counter[str]]:
    """What the audit found on its lines, all of which agree."""
    await settled(town)
    balance = await books.balance(town.endpoints, town.home.outbox)
    wrong = [each.document() for each in balance if not each.balanced]
    assert not wrong, json.dumps(wrong, indent=1)
    return {each.name: each.actual for each in balance}


def event(case_id: UUID, seq: int) -> dict[str, Any]:
    now = datetime.now(UTC)
    return {
        "case_id": case_id, "seq": seq, "occurred_at": now, "recorded_at": now, "actor": SYSTEM,
    }  # fmt: skip


def of_report(report_id: UUID) -> dict[str, Any]:
    return {
        "report_id": report_id, "channel": Channel.APP, "origin": Origin.LIVE,
        "category": "unknown", "reported_at": datetime.now(UTC), "reporter_reachable": True,
        "language": Language.ENGLISH,
    }  # fmt: skip


def messages(town: Stack) -> dict[str, Counter[str]]:
    """Kinds of the messages that went to each address."""
    found: dict[str, Counter[str]] = {}
    for path in town.home.outbox.rglob("*.txt"):
        head = dict(
            line.split(": ", 1) for line in path.read_text("utf-8").split("\n\n")[0].splitlines()
        )
        found.setdefault(head["To"], Counter())[head["Kind"]] += 1
    return found


def link_in(town: Stack, address: str, kind: str) -> str:
    """The progress link of the message of that kind to that address."""
    for path in town.home.outbox.rglob("*.txt"):
        text = path.read_text("utf-8")
        if f"To: {address}\n" in text and f"Kind: {kind}\n" in text:
            found = re.search(r"http\S+/progress/case/\S+", text)
            assert found
            return found[0]
    raise AssertionError(f"no message {kind} to {address}")


async def seen_by(city: City, receipt: str) -> dict[str, Any]:
    """What the API says to whoever holds a receipt."""
    answer = await city.http.get(city.url("intake", f"/cases/{receipt}"))
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


async def page(city: City, url: str) -> str:
    answer = await city.http.get(
        url, follow_redirects=True, headers={"Accept": "text/html", "Accept-Language": "en"}
    )
    return answer.raise_for_status().text


async def looked_up(city: City, *source_ids: str) -> list[tuple[str, str, int]]:
    """The number, state and seq of each of the app's reports."""
    answer = await city.http.post(
        city.url("intake", "/api/intake/v1/lookup"),
        json={"sender": SENDERS[Channel.APP], "channel": "app", "source_ids": source_ids},
        headers=city.bearer(Role.ADMINISTRATOR),
    )
    found = answer.raise_for_status().json()["reports"]
    return [(each["number"], each["state"], each["seq"]) for each in found]


async def test_a_report_joins_a_case_and_leaves_it(town: Stack, town_city: City) -> None:
    await town_city.import_network()
    first = await town_city.report("first", text="Lamp out at the gate", contact=FIRST)
    case_id = await town_city.case_of(first)
    number = (await seen_by_all(town_city, first))["number"]
    await settled(town)

    town.stop_process("dispatch")
    second = await town_city.report("second", text="No light near the gate", contact=SECOND)
    joined = await report_of(town_city, second)
    await town_city.tell(ReportMerged(**event(case_id, 3), **of_report(joined)))
    town.start_process("dispatch")
    town.wait_ready("dispatch")
    await settled(town)
    dispatch = await town_city.database("dispatch")
    assert [tuple(row) for row in await dispatch.fetch('SELECT seq, merged FROM "case"')] == [
        (3, [joined])
    ]
    assert (await town_city.act(case_id, "accept")).is_success
    lines = await balanced(town)
    assert lines["registered"] == Counter(registered=1, merged=1)
    await each_reader_knows_both(town, town_city, (first, second), case_id, number)

    town.stop_process("dispatch")
    split_id = uuid.uuid4()
    its_number = f"{number[:6]}-9000001"
    await town_city.tell(ReportSplit(**event(case_id, 5), report_id=joined, split_case_id=split_id))
    await town_city.tell(
        CaseRegistered(**event(split_id, 1), **of_report(joined), number=its_number)
    )
    await town_city.tell(CaseUnplaced(**event(split_id, 2), reason="no_position"))
    town.start_process("dispatch")
    town.wait_ready("dispatch")
    await settled(town)
    assert (await town_city.act(case_id, "resolve")).is_success
    lines = await balanced(town)
    assert lines["registered"] == Counter(registered=2)
    assert lines["facts"].total() == 2
    assert await looked_up(town_city, "first", "second") == [
        (number, "closed", 8), (its_number, "unplaced", 2),
    ]  # fmt: skip
    assert [(await seen_by(town_city, each))["reports"] for each in (first, second)] == [1, 1]
    assert messages(town) == {
        "+8613800138000": Counter(received=1, accepted=1, closed=1),
        "+8613900139001": Counter(merged=1, accepted=1, received=1),
    }
    found = (await town_city.indicators())["groups"][0]
    assert (found["cases"]["registered"], found["cases"]["merged_reports"]) == (2, 0)


async def seen_by_all(city: City, receipt: str) -> dict[str, Any]:
    """The same once the case has come to intake's view."""

    async def there() -> dict[str, Any] | None:
        found = await seen_by(city, receipt)
        return found if "number" in found else None

    return await city.until(there, "case in intake's view")


async def each_reader_knows_both(
    town: Stack, city: City, receipts: tuple[str, str], case_id: UUID, number: str
) -> None:
    """Progress pages, messages, figures and staff's pages while two reports belong to a case."""
    for receipt in receipts:
        found = await seen_by(city, receipt)
        assert (found["number"], found["state"], found["reports"]) == (number, "accepted", 2)
        assert [each["type"] for each in found["timeline"]] == [
            "registered", "dispatched", "report_merged", "accepted",
        ]  # fmt: skip
        assert "report_id" not in json.dumps(found)
    assert await looked_up(city, "first", "second") == [(number, "accepted", 4)] * 2

    assert messages(town) == {
        "+8613800138000": Counter(received=1, accepted=1),
        "+8613900139001": Counter(merged=1, accepted=1),
    }
    for address, kind, own, other in (
        ("+8613800138000", "accepted", "Lamp out", "No light"),
        ("+8613900139001", "accepted", "No light", "Lamp out"),
        ("+8613900139001", "merged", "No light", "Lamp out"),
    ):
        shown = await page(city, link_in(town, address, kind))
        assert own in shown
        assert other not in shown
    # A link of an older message knows the case alone: it belongs to who reported first.
    old = city.links.seal(LinkPurpose.PROGRESS, case_id.bytes)
    assert "Lamp out" in await page(city, city.url("intake", f"/progress/case/{old}"))
    for tail, own in (("8000", "Lamp out"), ("9001", "No light")):
        answer = await city.http.post(
            city.url("intake", "/progress"),
            data={"number": number, "tail": tail},
            follow_redirects=True,
        )
        assert own in answer.text

    metrics = await city.database("metrics")
    assert await metrics.fetchval("SELECT reports FROM fact WHERE case_id = $1", case_id) == 2
    found = (await city.indicators())["groups"][0]
    assert (found["cases"]["registered"], found["cases"]["merged_reports"]) == (1, 1)
    assert (found["reports"]["accepted"], found["reports"]["valid_report_rate"]) == (2, 1.0)

    answer = await city.http.get(
        city.url("dispatch", "/work"),
        headers=city.bearer(Role.LEAD, "L0") | {"Accept-Language": "en"},
    )
    assert "Lamp out" in answer.text
    assert "No light" in answer.text
    code, shown, complained = await books.command(town.home.root, "case", "show", number, "--json")
    assert code == 0, complained
    assert len(json.loads(shown)["report_ids"]) == 2


async def test_each_rates_for_himself(town: Stack, town_city: City) -> None:
    """Each reporter is asked for himself, and the books hold what both said."""
    await town_city.import_network()
    first = await town_city.report("rated first", text="Lamp out at the gate", contact=FIRST)
    case_id = await town_city.case_of(first)
    await seen_by_all(town_city, first)
    await settled(town)
    town.stop_process("dispatch")
    second = await town_city.report("rated second", text="No light", contact=SECOND)
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
