"""Notify on a real broker and database: every message asked for goes out once, in order."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import httpx
import pytest

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Actor, ActorRole, Origin
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import DeliveryResult, Recipient
from lastmetre.common.contracts.topics import NOTIFY_DELIVERIES
from lastmetre.notify.domain.ratings import Closing
from tests.integration.notify_ledgers import (
    LEAD_PHONE,
    MESSAGES_A_CASE,
    PHONE,
    lifecycle,
    mixed,
    new_ids,
    once_each,
)
from tests.support.city import NotifyAlone, ServiceProcess, until_true
from tests.unit.notify.ledger import LI, WANG, event, registered

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


async def test_a_case_from_registration_to_closing(ordinary: NotifyAlone) -> None:
    events = lifecycle(ordinary, "261122-0418", address={"phone": PHONE})
    await ordinary.tell(*events)
    await ordinary.until_done(MESSAGES_A_CASE)
    await once_each(ordinary, MESSAGES_A_CASE)
    texts = [file.read_text("utf-8") for file in ordinary.files()]
    assert [text.splitlines()[0] for text in texts] == [f"To: {LEAD_PHONE}", *[f"To: {PHONE}"] * 4]
    assert "由片长李敏负责" in texts[1]
    assert ordinary.credentials.rating_token(events[0].case_id, 7) in texts[4]
    await ordinary.tell(*events)
    await ordinary.tell(event(cases.CaseRated, 8, case_id=events[0].case_id))
    case = f"case_id = '{events[0].case_id}'"
    await ordinary.until(f"SELECT seq FROM subject WHERE {case}", 8)
    await once_each(ordinary, MESSAGES_A_CASE)


async def test_the_rating_page_says_what_the_ledger_holds(
    ordinary: NotifyAlone, started: ServiceProcess
) -> None:
    events = lifecycle(ordinary, "261122-0423", address={"phone": PHONE})
    case_id = events[0].case_id
    await ordinary.tell(*events)
    await ordinary.until_done(MESSAGES_A_CASE)
    token = ordinary.credentials.rating_token(case_id, 7)
    link = f"{started.url}/rate/{token}"
    resident = {"actor": Actor(role=ActorRole.RESIDENT)}
    async with httpx.AsyncClient(headers={"Accept-Language": "en"}) as browser:
        given = await browser.post(
            f"{started.url}/api/notify/v1/ratings/{token}",
            json={"solved": False, "score": 1, "reopen": True},
        )
        assert given.status_code == 202
        feedback_id = given.json()["feedback_id"]

        async def after(seq: int, event_of_it: CaseEvent) -> str:
            await ordinary.tell(event_of_it)
            await ordinary.until(f"SELECT seq FROM subject WHERE case_id = '{case_id}'", seq)
            return (await browser.get(link)).text

        said: dict[str, Any] = {"case_id": case_id, "closing": 7, "solved": False, "score": 1}
        forged = event(cases.CaseRated, 8, **said | {"feedback_id": feedback_id, "score": 5})
        assert "is being recorded" in await after(8, forged)
        rated = event(cases.CaseRated, 9, **said, feedback_id=feedback_id)
        page = await after(9, rated)
        assert "Your rating is recorded" in page
        assert "It is taken up again" not in page
        reopened = event(cases.CaseReopened, 10, case_id=case_id, closing=7)
        page = await after(10, reopened.model_copy(update=resident))
        assert "It is taken up again, as you asked" in page


async def test_a_rated_closing_is_asked_to_be_taken_up_again_once(
    ordinary: NotifyAlone, started: ServiceProcess
) -> None:
    events = lifecycle(ordinary, "261124-0001", address={"phone": PHONE})
    case_id, closing = events[0].case_id, Closing(events[0].case_id, 7)
    await ordinary.tell(*events)
    await ordinary.until(f"SELECT seq FROM subject WHERE case_id = '{case_id}'", 7)
    link = f"{started.url}/rate/{ordinary.credentials.rating_token(case_id, 7)}"
    async with httpx.AsyncClient() as client:
        early = await client.post(f"{link}/reopen")
        given = await client.post(link, data={"solved": "yes", "score": "5"})
        asked = [await client.post(f"{link}/reopen") for _ in range(2)]
    assert {each.status_code for each in (early, given, *asked)} == {303}
    await ordinary.until("SELECT count(*) FROM outbox", 0)
    said = [each for each in await ordinary.feedback() if each["case_id"] == str(case_id)]
    assert [(each["feedback_id"], each["solved"], each["reopen"]) for each in said] == [
        (str(closing.feedback_id), True, False),
        (str(closing.reopening_id), False, True),
    ]


async def test_the_ledgers_order_is_waited_for(ordinary: NotifyAlone) -> None:
    events = lifecycle(ordinary, "261122-0419", address={"phone": PHONE})
    await ordinary.tell(*reversed(events), *events)
    await ordinary.until_done(MESSAGES_A_CASE)
    await once_each(ordinary, MESSAGES_A_CASE)
    assert await ordinary.value("SELECT count(*) FROM parked") == 0


async def test_reassigning_tells_both_leads(ordinary: NotifyAlone) -> None:
    case_id, report_id = new_ids()
    ordinary.vault.contacts[str(report_id)] = {"phone": PHONE}
    await ordinary.tell(
        registered(case_id=case_id, report_id=report_id, number="261122-0420"),
        event(cases.CaseDispatched, 2, case_id=case_id),
        event(cases.CaseReassigned, 3, case_id=case_id, lead=WANG),
    )
    await ordinary.until_done(4)
    to_leads = [f.read_text("utf-8") for f in ordinary.files() if "-lead-" in f.name]
    assert [text.split("Kind: ")[1].split()[0] for text in to_leads] == [
        "assigned", "assigned", "handed_over",
    ]  # fmt: skip
    assert LI.lead_id in ordinary.vault.asked


async def test_history_is_not_announced(ordinary: NotifyAlone) -> None:
    case_id, report_id = new_ids()
    kinds: tuple[type[CaseEvent], ...] = (
        cases.CaseDispatched, cases.CaseResolved, cases.CaseVerified, cases.CaseClosed,
    )  # fmt: skip
    events = [
        registered(case_id=case_id, report_id=report_id, origin=Origin.IMPORT),
        *(event(kind, seq, case_id=case_id) for seq, kind in enumerate(kinds, 2)),
    ]
    await ordinary.tell(*events)
    await ordinary.until_done(3)
    assert ordinary.files() == []
    assert ordinary.vault.questions == 0
    delivered = await ordinary.deliveries()
    assert {each.result for each in delivered} == {DeliveryResult.SUPPRESSED}
    assert {each.provider for each in delivered} == {None}
    assert [each.occurred_at for each in delivered] == [
        events[1].occurred_at, events[1].occurred_at, events[4].occurred_at,
    ]  # fmt: skip


async def test_who_has_no_address_is_not_waited_for(ordinary: NotifyAlone) -> None:
    case_id, report_id = new_ids()
    first = registered(case_id=case_id, report_id=report_id, number="261122-0421")
    await ordinary.tell(first, event(cases.CaseDispatched, 2, case_id=case_id, lead=LI))
    await ordinary.until_done(2)
    by_recipient = {each.recipient: each for each in await ordinary.deliveries()}
    assert by_recipient[Recipient.LEAD].result is DeliveryResult.SENT
    failed = by_recipient[Recipient.REPORTER]
    assert (failed.result, failed.error) == (DeliveryResult.FAILED, "no_address")


async def test_a_vault_that_is_away_only_delays(ordinary: NotifyAlone) -> None:
    ordinary.vault.away = True
    ledgers = [lifecycle(ordinary, f"261123-{n:04}", address={"phone": PHONE}) for n in range(20)]
    await ordinary.tell(*mixed(ledgers))
    await ordinary.until("SELECT count(*) FROM message_waiting", 20 * MESSAGES_A_CASE)
    await until_true(lambda: ordinary.vault.refused > 2, "further question to the vault")
    assert await ordinary.value("SELECT sum(attempts) FROM message_waiting") == 0
    ordinary.vault.away = False
    await ordinary.until_done(20 * MESSAGES_A_CASE)
    assert await ordinary.results() == {"sent": 20 * MESSAGES_A_CASE}
    assert ordinary.vault.questions < 20, "addresses are asked for in batches"


async def test_no_address_is_kept(ordinary: NotifyAlone, started: ServiceProcess) -> None:
    await ordinary.tell(*lifecycle(ordinary, "261122-0422", address={"phone": PHONE}))
    await ordinary.until_done(MESSAGES_A_CASE)
    async with ordinary.connection() as connection:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        for table in tables:
            rows = await connection.fetch(f'SELECT t::text FROM "{table[0]}" t')
            assert not any(PHONE in row[0] or LEAD_PHONE in row[0] for row in rows), table[0]
    assert PHONE not in started.log.read_text()
    told = await ordinary.records(NOTIFY_DELIVERIES)
    assert not any(PHONE.encode() in each.value for each in told)


async def test_each_readers_files_are_written_in_order(ordinary: NotifyAlone) -> None:
    ledgers = [lifecycle(ordinary, f"261124-{n:04}", address={"phone": PHONE}) for n in range(50)]
    await ordinary.tell(*mixed(ledgers))
    await ordinary.until_done(50 * MESSAGES_A_CASE)
    written: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for file in ordinary.files():
        day, number, seq, recipient, *_ = file.name.split("-")
        written[f"{day}-{number}-{recipient}"].append((file.stat().st_mtime_ns, int(seq)))
    for times in written.values():
        assert all(a[1] < b[1] for a, b in pairwise(sorted(times)))
