"""Notify on a real broker and database: every message asked for goes out once, in order."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest
import pytest_asyncio

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import Origin
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import DeliveryResult, Recipient
from lastmetre.common.service.ids import IdGenerator
from lastmetre.devstack import Stack
from tests.integration.notify_city import City, Running
from tests.integration.test_notify_smtp import Mailbox, free_port, listening
from tests.support.databases import fresh_database
from tests.unit.notify.ledger import LI, WANG, event, registered

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

IDENTITIES = IdGenerator()
PHONE, EMAIL, LEAD_PHONE = "13800001111", "reporter@example.org", "13900000001"


LEADS = {
    "L001": {"name": "李敏", "phone": LEAD_PHONE, "language": "zh"},
    "L002": {"name": "王建国", "phone": "13900000002", "language": "zh"},
}


@pytest_asyncio.fixture(loop_scope="module")
async def city(notify_city: City) -> AsyncIterator[City]:
    """Notify of its own for a test that starts, stops or kills it; none runs yet."""
    async with notify_city.open() as opened:
        opened.vault.contacts = dict(LEADS)
        yield opened


@pytest.fixture(scope="module")
def lasting(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> City:
    database = fresh_database(stack, "notify")
    return City(stack.endpoints.bootstrap_servers, database, tmp_path_factory.mktemp("notify"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(lasting: City) -> AsyncIterator[Running]:
    async with lasting.open() as opened:
        yield await opened.start()


@pytest_asyncio.fixture(loop_scope="module")
async def ordinary(lasting: City, started: Running) -> City:
    """One process that runs all the time, as it is started ordinarily."""
    lasting.vault.contacts = dict(LEADS)
    await lasting.begin()
    return lasting


def new_ids() -> tuple[UUID, UUID]:
    now = datetime.now(UTC)
    return IDENTITIES.uuid7(now), IDENTITIES.uuid7(now)


def lifecycle(city: City, number: str, *, address: dict[str, str]) -> list[CaseEvent]:
    """A case from registration to closing: five messages, four of them to the reporter."""
    case_id, report_id = new_ids()
    city.vault.contacts[str(report_id)] = address | {"language": "zh"}
    first = registered(case_id=case_id, report_id=report_id, number=number)
    kinds: tuple[type[CaseEvent], ...] = (
        cases.CaseDispatched, cases.CaseAccepted, cases.CaseArrived, cases.CaseResolved,
        cases.CaseVerified, cases.CaseClosed,
    )  # fmt: skip
    return [first, *(event(kind, seq, case_id=case_id) for seq, kind in enumerate(kinds, 2))]


MESSAGES_A_CASE = 5


def mixed(ledgers: list[list[CaseEvent]]) -> list[CaseEvent]:
    """All cases one step further, then the next step: each case's order is kept."""
    return [each for step in zip(*ledgers, strict=True) for each in step]


async def once_each(city: City, expected: int, *, killed: bool = False) -> None:
    """Each message came to one end and was told once; by a relay that was killed perhaps again,
    in the same words."""
    delivered = await city.deliveries()
    assert len({each.message_id for each in delivered}) == expected
    assert len(set(delivered) if killed else delivered) == expected
    assert await city.asked() == expected


async def test_a_case_from_registration_to_closing(ordinary: City) -> None:
    events = lifecycle(ordinary, "261122-0418", address={"phone": PHONE})
    await ordinary.tell(events)
    await ordinary.until_done(MESSAGES_A_CASE)
    await once_each(ordinary, MESSAGES_A_CASE)
    texts = [file.read_text("utf-8") for file in ordinary.files()]
    assert [text.splitlines()[0] for text in texts] == [f"To: {LEAD_PHONE}", *[f"To: {PHONE}"] * 4]
    assert "由片长李敏负责" in texts[1]
    assert ordinary.rating_token(events[0].case_id, 7) in texts[4]
    await ordinary.tell(events)
    await ordinary.tell([event(cases.CaseRated, 8, case_id=events[0].case_id)])
    case = f"case_id = '{events[0].case_id}'"
    await ordinary.until(f"SELECT seq FROM subject WHERE {case}", 8)
    await once_each(ordinary, MESSAGES_A_CASE)


async def test_the_ledgers_order_is_waited_for(ordinary: City) -> None:
    events = lifecycle(ordinary, "261122-0419", address={"phone": PHONE})
    await ordinary.tell([*reversed(events), *events])
    await ordinary.until_done(MESSAGES_A_CASE)
    await once_each(ordinary, MESSAGES_A_CASE)
    assert await ordinary.value("SELECT count(*) FROM parked") == 0


async def test_reassigning_tells_both_leads(ordinary: City) -> None:
    case_id, report_id = new_ids()
    ordinary.vault.contacts[str(report_id)] = {"phone": PHONE}
    await ordinary.tell(
        [
            registered(case_id=case_id, report_id=report_id, number="261122-0420"),
            event(cases.CaseDispatched, 2, case_id=case_id),
            event(cases.CaseReassigned, 3, case_id=case_id, lead=WANG),
        ]
    )
    await ordinary.until_done(4)
    to_leads = [f.read_text("utf-8") for f in ordinary.files() if "-lead-" in f.name]
    assert [text.split("Kind: ")[1].split()[0] for text in to_leads] == [
        "assigned", "assigned", "handed_over",
    ]  # fmt: skip
    assert LI.lead_id in ordinary.vault.asked


async def test_history_is_not_announced(ordinary: City) -> None:
    case_id, report_id = new_ids()
    kinds: tuple[type[CaseEvent], ...] = (
        cases.CaseDispatched, cases.CaseResolved, cases.CaseVerified, cases.CaseClosed,
    )  # fmt: skip
    events = [
        registered(case_id=case_id, report_id=report_id, origin=Origin.IMPORT),
        *(event(kind, seq, case_id=case_id) for seq, kind in enumerate(kinds, 2)),
    ]
    await ordinary.tell(events)
    await ordinary.until_done(3)
    assert ordinary.files() == []
    assert ordinary.vault.questions == 0
    delivered = await ordinary.deliveries()
    assert {each.result for each in delivered} == {DeliveryResult.SUPPRESSED}
    assert {each.provider for each in delivered} == {None}
    assert [each.occurred_at for each in delivered] == [
        events[1].occurred_at, events[1].occurred_at, events[4].occurred_at,
    ]  # fmt: skip


async def test_who_has_no_address_is_not_waited_for(ordinary: City) -> None:
    case_id, report_id = new_ids()
    first = registered(case_id=case_id, report_id=report_id, number="261122-0421")
    await ordinary.tell([first, event(cases.CaseDispatched, 2, case_id=case_id, lead=LI)])
    await ordinary.until_done(2)
    by_recipient = {each.recipient: each for each in await ordinary.deliveries()}
    assert by_recipient[Recipient.LEAD].result is DeliveryResult.SENT
    failed = by_recipient[Recipient.REPORTER]
    assert (failed.result, failed.error) == (DeliveryResult.FAILED, "no_address")


async def test_a_vault_that_is_away_only_delays(ordinary: City) -> None:
    ordinary.vault.away = True
    ledgers = [lifecycle(ordinary, f"261123-{n:04}", address={"phone": PHONE}) for n in range(20)]
    await ordinary.tell(mixed(ledgers))
    await ordinary.until("SELECT count(*) FROM message_waiting", 20 * MESSAGES_A_CASE)
    await asyncio.sleep(1)
    assert await ordinary.value("SELECT sum(attempts) FROM message_waiting") == 0
    ordinary.vault.away = False
    await ordinary.until_done(20 * MESSAGES_A_CASE)
    assert await ordinary.results() == {"sent": 20 * MESSAGES_A_CASE}
    assert ordinary.vault.questions < 20, "addresses are asked for in batches"


async def test_no_address_is_kept(ordinary: City, started: Running) -> None:
    await ordinary.tell(lifecycle(ordinary, "261122-0422", address={"phone": PHONE}))
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
    assert not any(PHONE.encode() in body for body in await ordinary.bodies("notify.deliveries"))


# --- e-mail -----------------------------------------------------------------------------


def reporter_mail(mailbox: Mailbox) -> dict[str, list[str]]:
    """Message ids by case number, in the order in which they came."""
    found: dict[str, list[str]] = defaultdict(list)
    for raw in mailbox.taken:
        head = raw.split(b"\r\n\r\n")[0].decode("ascii")
        lines = dict(line.split(": ", 1) for line in head.split("\r\n") if ": " in line)
        found[lines["To"]].append(lines["Message-ID"])
    return found


async def test_each_reader_gets_his_messages_in_order(city: City) -> None:
    """Ten cases by e-mail, the server puts off every third message at first."""
    mailbox, port = Mailbox(), free_port()
    puts_off = iter([True, False, False] * 1000)
    mailbox.decide = lambda: "451 Later" if next(puts_off) else "250 OK"
    ledgers = [
        lifecycle(city, f"261122-{n:04}", address={"email": f"r{n}@example.org"}) for n in range(10)
    ]
    async with listening(mailbox, port):
        await city.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
        await city.tell(mixed(ledgers))
        await city.until_done(10 * MESSAGES_A_CASE)
    assert await city.results() == {"sent": 10 * MESSAGES_A_CASE}
    seqs = {str(each.message_id): each.seq for each in await city.deliveries()}
    by_reader = reporter_mail(mailbox)
    assert len(by_reader) == 10
    for ids in by_reader.values():
        came = [seqs[each.strip("<>").split("@")[0]] for each in ids]
        assert came == [2, 3, 4, 7]


async def test_a_mail_server_that_is_down_stops_nobody_else(city: City) -> None:
    port = free_port()
    await city.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
    by_mail = [lifecycle(city, f"261122-{n:04}", address={"email": EMAIL}) for n in range(40)]
    by_phone = [lifecycle(city, f"261122-1{n:03}", address={"phone": PHONE}) for n in range(40)]
    await city.tell(mixed(by_mail + by_phone))
    # All that goes by phone: every message of forty cases, and those to the leads of the others.
    await city.until("SELECT count(*) FROM message_done", 40 * MESSAGES_A_CASE + 40)
    assert await city.value("SELECT count(*) FROM message_waiting") == 40 * 4
    tried = await city.value("SELECT count(*) FROM message_waiting WHERE attempts > 0")
    assert tried <= 40, "only the first message of each reader is tried"
    mailbox = Mailbox()
    async with listening(mailbox, port):
        await city.until_done(80 * MESSAGES_A_CASE)
    assert await city.results() == {"sent": 80 * MESSAGES_A_CASE}
    assert len(mailbox.taken) == 40 * 4
    await once_each(city, 80 * MESSAGES_A_CASE)


async def test_what_a_mail_server_refuses_has_failed(city: City) -> None:
    mailbox, port = Mailbox(rcpt="550 No such user"), free_port()
    async with listening(mailbox, port):
        await city.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
        await city.tell(lifecycle(city, "261122-0418", address={"email": EMAIL}))
        await city.until_done(MESSAGES_A_CASE)
    assert await city.results() == {"sent": 1, "failed": 4}
    errors = Counter(each.error for each in await city.deliveries())
    assert errors == {None: 1, "smtp_550": 4}


async def test_what_waits_too_long_expires(city: City) -> None:
    await city.start(
        NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(free_port()),
        NOTIFY_EXPIRE_AFTER_SECONDS="2",
    )  # fmt: skip
    await city.tell(lifecycle(city, "261122-0418", address={"email": EMAIL}))
    await city.until_done(MESSAGES_A_CASE)
    errors = Counter(each.error for each in await city.deliveries())
    assert errors == {None: 1, "expired": 4}


# --- crashes ----------------------------------------------------------------------------


async def test_killed_between_the_file_and_its_result(city: City) -> None:
    running = await city.start()
    await city.until("SELECT count(*) FROM message_done", 0)
    async with city.connection() as blocker, blocker.transaction():
        # The file can be written, its result cannot be committed.
        await blocker.execute("LOCK TABLE message_done IN SHARE MODE")
        await city.tell(lifecycle(city, "261122-0418", address={"phone": PHONE})[:2])
        await _until(lambda: len(city.files()) == 2)
        await city.until("SELECT count(*) FROM message_waiting WHERE sending_by = 'folder'", 2)
        await running.kill()
    before = {file: file.read_bytes() for file in city.files()}
    again = await city.start()
    await city.until_done(2)
    assert {file: file.read_bytes() for file in city.files()} == before
    assert len(list(city.outbox.rglob("*.*"))) == 2, "nothing half-written is left"
    assert await city.results() == {"sent": 2}
    await once_each(city, 2)
    assert '"again": 2' in again.log.read_text()


@pytest.mark.parametrize("first", ["crash", "cancel"])
async def test_killed_after_250_before_the_result(city: City, first: str) -> None:
    """The case is cancelled after the crash, or while the message before is not committed yet."""
    mailbox, port = Mailbox(), free_port()
    events = lifecycle(city, "261122-0418", address={"email": EMAIL})
    cancelled = [event(cases.CaseCancelled, 3, case_id=events[0].case_id)]
    settings = {"NOTIFY_SMTP_HOST": "127.0.0.1", "NOTIFY_SMTP_PORT": str(port)}
    async with listening(mailbox, port):
        running = await city.start(**settings)
        async with city.connection() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE message_done IN SHARE MODE")
            await city.tell(events[:2])
            await _until(lambda: len(mailbox.taken) == 1)
            if first == "cancel":
                await city.tell(cancelled)
                await city.until("SELECT count(*) FROM message_waiting WHERE seq = 3", 1)
            await running.kill()
        if first == "crash":
            await city.tell(cancelled)
        await city.start(**settings)
        await city.until_done(3)
    assert len(mailbox.taken) == 2, "the interrupted one is not sent again, the next one is"
    ends = {(each.seq, each.recipient): each for each in await city.deliveries()}
    unknown = ends[2, Recipient.REPORTER]
    assert (unknown.result, unknown.error) == (DeliveryResult.UNKNOWN, "interrupted")
    assert ends[2, Recipient.LEAD].result is DeliveryResult.SENT
    assert ends[3, Recipient.REPORTER].result is DeliveryResult.SENT
    await once_each(city, 3)


async def test_stopped_politely_nothing_is_left_open(city: City) -> None:
    async def slowly(_: object) -> None:
        await asyncio.sleep(1)

    mailbox, port = Mailbox(on_data=slowly), free_port()
    async with listening(mailbox, port):
        await city.start(NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port))
        await city.tell(lifecycle(city, "261122-0418", address={"email": EMAIL})[:2])
        await _until(lambda: len(mailbox.taken) == 1)
        await city.stop()
    assert await city.value("SELECT count(*) FROM message_waiting") == 0
    assert await city.results() == {"sent": 2}


async def test_two_processes_share_and_one_takes_over(city: City) -> None:
    first, second = await asyncio.gather(city.start(), city.start())
    await _until_shards(first, 6)
    await _until_shards(second, 6)
    ledgers = [lifecycle(city, f"261122-{n:04}", address={"phone": PHONE}) for n in range(200)]
    events = mixed(ledgers)
    half = len(events) // 2
    await city.tell(events[:half])
    shares = await _both_sent(first, second)
    telling = asyncio.create_task(city.tell(events[half:]))
    await first.kill()
    killed_at = asyncio.get_running_loop().time()
    await _until_shards(second, 12)
    took_over = asyncio.get_running_loop().time() - killed_at
    await telling
    await city.until_done(200 * MESSAGES_A_CASE)
    print(f"sent before the kill: {shares}; shards taken over after {took_over:.1f} s")
    assert await city.results() == {"sent": 200 * MESSAGES_A_CASE}
    assert len(city.files()) == 200 * MESSAGES_A_CASE
    await once_each(city, 200 * MESSAGES_A_CASE, killed=True)
    third = await city.start()
    await _until_shards(third, 6)
    await _until_shards(second, 6)


async def test_each_readers_files_are_written_in_order(ordinary: City) -> None:
    ledgers = [lifecycle(ordinary, f"261124-{n:04}", address={"phone": PHONE}) for n in range(50)]
    await ordinary.tell(mixed(ledgers))
    await ordinary.until_done(50 * MESSAGES_A_CASE)
    written: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for file in ordinary.files():
        day, number, seq, recipient, *_ = file.name.split("-")
        written[f"{day}-{number}-{recipient}"].append((file.stat().st_mtime_ns, int(seq)))
    for times in written.values():
        assert all(a[1] < b[1] for a, b in pairwise(sorted(times)))


async def _both_sent(*processes: Running) -> list[float]:
    """How many messages each has sent, once that is some."""
    for _ in range(600):
        shares = [await each.metric("lastmetre_messages_total") for each in processes]
        if min(shares) > 0:
            return shares
        await asyncio.sleep(0.05)
    raise TimeoutError(f"they do not share: {shares}")


async def _until_shards(running: Running, expected: int) -> None:
    for _ in range(600):
        if await running.metric("lastmetre_message_shards") == expected:
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{running.url} does not get to {expected} shards")


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError("what was waited for did not happen")
