"""A message that failed, or of which nobody knows, is sent again once for each request."""

import asyncio
import re
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import DeliveryResult, MessageDelivered
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.integration.notify_ledgers import LEADS, PHONE, lifecycle, new_ids
from tests.support.city import NotifyAlone, ServiceProcess
from tests.support.databases import copied_database
from tests.unit.notify.ledger import event, registered

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

SOMEBODY = Actor(role=ActorRole.OPERATOR, id="operator.1")


async def unreachable(city: NotifyAlone, number: str) -> list[CaseEvent]:
    """A case whose reporter has no address yet: what is said to him fails."""
    case_id, report_id = new_ids()
    first = registered(case_id=case_id, report_id=report_id, number=number)
    ledger: list[CaseEvent] = [first, event(cases.CaseDispatched, 2, case_id=case_id)]
    await city.tell(*ledger)
    await city.until(f"SELECT count(*) FROM message_done WHERE case_id = '{case_id}'", 2)
    await city.until("SELECT count(*) FROM outbox", 0)
    return ledger


def reachable(city: NotifyAlone, ledger: list[CaseEvent]) -> None:
    first = ledger[0]
    assert isinstance(first, cases.CaseRegistered)
    city.vault.contacts[str(first.report_id)] = {"phone": PHONE, "language": "zh"}


class Desk:
    """An operator who asks by the API."""

    def __init__(self, city: NotifyAlone, url: str, role: Role = Role.OPERATOR) -> None:
        self._api = f"{url}/api/notify/v1/cases"
        self._headers = city.credentials.bearer(role, "L001" if role is Role.LEAD else None)

    async def listed(self, case_id: UUID) -> list[dict[str, Any]]:
        async with httpx.AsyncClient(headers=self._headers) as client:
            answer = await client.get(f"{self._api}/{case_id}/messages")
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    async def to_reporter(self, case_id: UUID) -> list[dict[str, Any]]:
        return [each for each in await self.listed(case_id) if each["recipient"] == "reporter"]

    async def ask(self, case_id: UUID, first_id: str, request_id: UUID) -> int:
        async with httpx.AsyncClient(headers=self._headers) as client:
            path = f"{self._api}/{case_id}/messages/{first_id}/again"
            return (await client.post(path, json={"request_id": str(request_id)})).status_code


async def told_of(city: NotifyAlone, case_id: UUID) -> list[MessageDelivered]:
    await city.until("SELECT count(*) FROM message_waiting", 0)
    await city.until("SELECT count(*) FROM outbox", 0)
    return [
        each for each in await city.deliveries()
        if each.case_id == case_id and each.recipient == "reporter"
    ]  # fmt: skip


async def test_it_is_sent_once_however_often_it_is_asked(
    ordinary: NotifyAlone, started: ServiceProcess
) -> None:
    ledger = await unreachable(ordinary, "261125-0001")
    case_id = ledger[0].case_id
    desk = Desk(ordinary, started.url)
    (failed,) = await desk.to_reporter(case_id)
    assert (failed["state"], failed["error"]) == ("failed", "no_address")
    assert failed["can_be_sent_again"] is True
    reachable(ordinary, ledger)
    requests = [uuid4(), uuid4()]
    asked = [each for each in requests for _ in range(4)]
    answers = await asyncio.gather(*(desk.ask(case_id, failed["first_id"], each) for each in asked))
    first, second = await told_of(ordinary, case_id)
    # One request was first: its repetitions are answered as it was, the other's not.
    assert sorted(set(answers)) == [202, 409]
    assert second.again is not None
    assert [status for each, status in zip(asked, answers, strict=True)
            if each == second.again.request_id] == [202] * 4  # fmt: skip
    assert (first.result, first.again) == (DeliveryResult.FAILED, None)
    assert second.result is DeliveryResult.SENT
    assert second.again.actor == SOMEBODY
    assert str(second.again.message_id) == failed["first_id"] == str(first.message_id)
    assert second.message_id != first.message_id
    sent = [file.read_text("utf-8") for file in ordinary.files() if "-reporter-" in file.name]
    assert len(sent) == 1
    assert f"To: {PHONE}" in sent[0]
    assert "Kind: received" in sent[0]
    before, now = await desk.to_reporter(case_id)
    assert (before["state"], before["can_be_sent_again"]) == ("failed", False)
    assert (now["state"], now["again"]["actor"]["id"]) == ("sent", "operator.1")
    assert await desk.ask(case_id, failed["first_id"], uuid4()) == 409, "it has been sent"


async def test_what_fails_again_can_be_asked_for_again(
    ordinary: NotifyAlone, started: ServiceProcess
) -> None:
    case_id = (await unreachable(ordinary, "261125-0002"))[0].case_id
    desk = Desk(ordinary, started.url)
    (failed,) = await desk.to_reporter(case_id)
    for number in (2, 3):
        assert await desk.ask(case_id, failed["first_id"], uuid4()) == 202
        told = await told_of(ordinary, case_id)
        assert [each.result for each in told] == [DeliveryResult.FAILED] * number
        assert len({each.message_id for each in told}) == number
    listed = await desk.to_reporter(case_id)
    assert [each["can_be_sent_again"] for each in listed] == [False, False, True]


async def test_a_requests_id_is_for_one_message(
    ordinary: NotifyAlone, started: ServiceProcess
) -> None:
    desk = Desk(ordinary, started.url)
    cases_ = [(await unreachable(ordinary, f"261125-001{n}"))[0].case_id for n in range(2)]
    request_id = uuid4()
    first = [(await desk.to_reporter(each))[0]["first_id"] for each in cases_]
    assert await desk.ask(cases_[0], first[0], request_id) == 202
    assert await desk.ask(cases_[1], first[1], request_id) == 409
    assert await desk.ask(cases_[1], str(uuid4()), uuid4()) == 404
    assert await desk.ask(cases_[1], first[0], uuid4()) == 404, "another case's message"
    assert len(await told_of(ordinary, cases_[1])) == 1


@pytest.mark.parametrize("role", [Role.LEAD, Role.SUPERVISOR])
async def test_only_operators_may(
    ordinary: NotifyAlone, started: ServiceProcess, role: Role
) -> None:
    case_id = (await unreachable(ordinary, "261125-0003"))[0].case_id
    (failed,) = await Desk(ordinary, started.url).to_reporter(case_id)
    assert await Desk(ordinary, started.url, role).ask(case_id, failed["first_id"], uuid4()) == 403


async def test_the_page_asks_before_it_is_sent(
    ordinary: NotifyAlone, started: ServiceProcess
) -> None:
    ledger = await unreachable(ordinary, "261125-0004")
    case_id = ledger[0].case_id
    reachable(ordinary, ledger)
    headers = ordinary.credentials.bearer(Role.OPERATOR) | {"Accept-Language": "en"}
    async with httpx.AsyncClient(headers=headers, base_url=started.url) as browser:
        log = (await browser.get("/messages/log", params={"number": "261125 0004"})).text
        (path,) = re.findall(r'href="(/messages/[^"]*/again)"', log)
        page = (await browser.get(path)).text
        assert "138****1111" in page
        request_id = page.split('name="request_id" value="')[1].split('"')[0]
        for _ in range(2):
            answer = await browser.post(path, data={"request_id": request_id})
            assert answer.status_code == 303
        assert len(await told_of(ordinary, case_id)) == 2
        assert "It has been sent" in (await browser.get(path)).text
        log = (await browser.get("/messages/log?number=261125-0004")).text
    assert "Sent again, asked for by operator.1" in log
    assert "/again" not in log


async def test_the_log_goes_on_beyond_a_page_and_leaves_nothing_out(
    ordinary: NotifyAlone, started: ServiceProcess
) -> None:
    """Many end at one instant: a page that went on by time alone would leave some out."""
    ledgers = [lifecycle(ordinary, f"261126-{n:04}", address={"phone": PHONE}) for n in range(70)]
    await ordinary.tell(*(each for ledger in ledgers for each in ledger))
    await ordinary.until_done(70 * 5)
    async with ordinary.connection() as connection:
        await connection.execute("UPDATE message_done SET occurred_at = '2026-11-26T08:00:00Z'")
    ended = await ordinary.value(
        "SELECT (SELECT count(*) FROM message_done) + (SELECT count(*) FROM message_again)"
    )
    headers = ordinary.credentials.bearer(Role.SUPERVISOR)
    rows: list[str] = []
    pages, address = 0, "/messages/log"
    async with httpx.AsyncClient(headers=headers, base_url=started.url) as browser:
        while address:
            page = (await browser.get(address)).text
            rows += page.split("<tbody>")[1].split("</tbody>")[0].split("<tr>")[1:]
            pages += 1
            following = page.split('rel="next" href="')
            address = "/messages/log" + following[1].split('"')[0].replace("&amp;", "&") if (
                len(following) > 1
            ) else ""  # fmt: skip
    assert len(rows) == ended
    assert pages == -(-ended // 100)


async def test_restored_it_knows_what_was_sent_again(stack: Stack, lasting: NotifyAlone) -> None:
    """The backup knows the first failure of one case, and nothing of another's."""
    await lasting.stop()
    await lasting.begin()
    lasting.vault.contacts = dict(LEADS)
    running = await lasting.start()
    known = await unreachable(lasting, "261127-0001")
    await lasting.stop()
    backup = await copied_database(stack, "notify", lasting.database_url)
    running = await lasting.start()
    forgotten = await unreachable(lasting, "261127-0002")
    desk = Desk(lasting, running.url)
    for ledger in (known, forgotten):
        reachable(lasting, ledger)
        (failed,) = await desk.to_reporter(ledger[0].case_id)
        assert await desk.ask(ledger[0].case_id, failed["first_id"], uuid4()) == 202
        await told_of(lasting, ledger[0].case_id)
    told = len(await lasting.deliveries())
    listed = [await desk.listed(each[0].case_id) for each in (known, forgotten)]
    files = lasting.files()
    await lasting.stop()

    lasting.database_url = backup
    running = await lasting.start()
    await lasting.until(
        f"SELECT count(*) FROM message_done WHERE case_id = '{forgotten[0].case_id}'", 2
    )
    await lasting.until("SELECT count(*) FROM outbox", 0)
    desk = Desk(lasting, running.url)
    assert [await desk.listed(each[0].case_id) for each in (known, forgotten)] == listed
    assert await lasting.value("SELECT count(*) FROM adopted_delivery") == 0
    assert len(await lasting.deliveries()) == told
    assert lasting.files() == files
