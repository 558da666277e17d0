"""Two people's cases become one and are told apart again, by real services: what each of them is
told, what the figures count, and that the books balance."""

import json
import re
from collections import Counter
from typing import Any, Final
from uuid import UUID

import pytest

from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose, rating_identity
from lastmetre.devstack import Stack
from tests.integration.test_merged_reports import (
    messages,
    page,
    seen_by,
    seen_by_all,
    settled,
)
from tests.support import books
from tests.support.city import City

pytestmark = pytest.mark.slow

FIRST: Final = {"phone": "13800138000", "language": "en"}
SECOND: Final = {"phone": "13900139001", "language": "zh"}
CLOSING: Final = 6
"""The event that closes a case of two reports that is resolved at once."""


async def operator(city: City, case_id: UUID, action: str, **more: Any) -> None:
    reason = {"correction_reason": "said_by_reporter"}
    answer = await city.act(case_id, action, role=Role.OPERATOR, **reason, **more)
    assert answer.is_success, answer.text


async def figures(city: City) -> tuple[int, int, int]:
    """Cases registered, those open, and reports that have joined one."""
    cases = (await city.indicators())["groups"][0]["cases"]
    return cases["registered"], cases["open"], cases["merged_reports"]


async def audited(town: Stack) -> dict[str, Any]:
    """What `lastmetre audit` says of each line; the books balance."""
    await settled(town)
    code, shown, complained = await books.command(town.home.root, "audit", "--json")
    assert code == 0, shown + complained
    return {each["name"]: each["actual"] for each in json.loads(shown)["lines"]}


def words(town: Stack, address: str, kind: str) -> str:
    """The message of that kind to that address."""
    for path in town.home.outbox.rglob(f"*-{kind}-*.txt"):
        text = path.read_text("utf-8")
        if f"To: {address}\n" in text:
            return text
    raise AssertionError(f"no message {kind} to {address}")


async def test_two_cases_become_one_and_are_told_apart_again(town: Stack, town_city: City) -> None:
    city = town_city
    await city.import_network()
    first = await city.report("first", text="Lamp out at the gate", contact=FIRST)
    second = await city.report("second", text="门口没有灯", contact=SECOND)
    a, b = [await city.case_of(each) for each in (first, second)]
    number, other = [(await seen_by_all(city, each))["number"] for each in (first, second)]
    await settled(town)
    assert await figures(city) == (2, 2, 0)

    await operator(city, b, "merge", expected_seq=2, into_case=number, into_expected_seq=2)
    await settled(town)
    assert await figures(city) == (1, 1, 1)
    for receipt in (first, second):
        found = await seen_by(city, receipt)
        assert (found["number"], found["state"], found["reports"]) == (number, "dispatched", 2)
    assert number in words(town, "+8613900139001", "merged")
    assert "已并入案件" in words(town, "+8613900139001", "merged")

    # Who decides next begins anew from what is there.
    town.stop_process("dispatch")
    town.start_process("dispatch")
    town.wait_ready("dispatch")
    assert (await city.act(a, "resolve")).is_success
    await settled(town)
    joined = await (await city.database("dispatch")).fetchval(
        'SELECT merged[1] FROM "case" WHERE case_id = $1', a
    )
    for report_id, score in ((None, 5), (joined, 1)):
        link = city.links.seal(LinkPurpose.RATE, rating_identity(a, CLOSING, report_id))
        given = await city.http.post(
            city.url("notify", f"/api/notify/v1/ratings/{link}"),
            json={"solved": report_id is None, "score": score},
        )
        assert given.status_code == 202
    lines = await audited(town)
    assert lines["registered"] == {"registered": 1, "merged": 1}
    assert lines["merges"] == {"have joined": 1}
    assert lines["ratings"] == {"ratings in the ledger": 2}

    # What was done at the gate did nothing for the second: that was another lamp.
    await operator(city, a, "split", expected_seq=8, report_id=str(joined))
    await settled(town)
    assert await figures(city) == (2, 1, 0)
    assert [(await seen_by(city, each))["state"] for each in (first, second)] == [
        "closed", "dispatched",
    ]  # fmt: skip
    assert (await seen_by(city, second))["number"] == other
    assert other in words(town, "+8613900139001", "split")
    shown = await page(city, link_in(words(town, "+8613900139001", "split")))
    assert "门口没有灯" in shown
    assert (await city.act(b, "accept")).is_success
    await settled(town)
    assert messages(town) == {
        "+8613800138000": Counter(received=1, closed=1),
        "+8613900139001": Counter(received=1, merged=1, closed=1, split=1, accepted=1),
    }
    lines = await audited(town)
    assert lines["registered"] == {"registered": 2}
    assert lines["splits"] == {"whose case goes on": 1}
    code, shown, complained = await books.command(town.home.root, "metrics", "verify")
    assert code == 0, shown + complained


def link_in(text: str) -> str:
    found = re.search(r"http\S+/progress/case/\S+", text)
    assert found
    return found[0]
