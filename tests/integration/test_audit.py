"""`lastmetre audit` finds what does not balance: each line is unbalanced in turn and named."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from lastmetre.audit.balance import TITLES
from lastmetre.audit.partition_view import TYPES
from lastmetre.audit.receipts import Receipt
from lastmetre.common.contracts.base import SYSTEM
from lastmetre.common.contracts.cases import CaseAccepted, CaseEvent, CaseRegistered
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event, decode
from lastmetre.common.kafka.topic_reader import open_topics
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.outbox_table import append_outbox
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.devstack import Stack
from tests.integration.audit_story import Story, live_through
from tests.support import books
from tests.support.city import TRACE, City
from tests.support.own_city import own_city

BY_OTHER_MEANS = ("one_case", "ledger_on_topic", "message_files")
STRANGER = UUID("0190a000-0000-7000-8000-000000000001")


@pytest.fixture(scope="module")
def story(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A city whose services have done their work and ended, so that nobody mends anything."""
    with own_city(stack, tmp_path_factory.mktemp("audited") / "home") as own:
        return asyncio.run(live_through(own))


@dataclass(frozen=True)
class Tampering:
    """`sql` in `table` of `service`, with `given` as $1, makes `line` name `named`."""

    line: str
    what: str
    service: str
    table: str
    sql: str
    given: Callable[[Story], object]
    named: Callable[[Story], str]


def _case(story: Story, suffix: str = "") -> str:
    return f"{story.closed}{suffix}"


NOTHING = Tampering("", "", "dispatch", "outbox", "SELECT $1::int", lambda _: 1, str)
T = Tampering
TAMPERINGS = [
    T("channel_records", "an accepted report is lost", "intake", "report",
      "DELETE FROM report WHERE report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("channel_records", "a repetition is lost", "intake", "later_record",
      "DELETE FROM later_record WHERE outcome = $1",
      lambda s: "repeated", lambda s: s.repeated),
    T("channel_records", "a dead letter is lost", "intake", "dead_letter",
      "DELETE FROM dead_letter WHERE flow = $1",
      lambda s: "channels", lambda s: s.dead),
    T("channel_records", "a record counts twice", "intake", "later_record",
      'INSERT INTO later_record SELECT topic, partition, "offset", appended_at, report_id,'
      " 'repeated', NULL FROM report WHERE report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("channel_records", "the position is behind the effects", "intake", "position",
      "UPDATE position p SET next_offset = r.offset, appended_at = r.appended_at - 1 FROM report r"
      " WHERE p.flow = 'channels' AND (p.topic, p.partition) = (r.topic, r.partition)"
      " AND r.report_id = $1",
      lambda s: s.report, lambda s: s.place),
    T("accepted_told", "another place than was told", "intake", "report",
      "UPDATE report SET latitude = 1 WHERE report_id = $1",
      lambda s: s.report, lambda s: str(s.report)),
    T("accepted_told", "nobody was told", "intake", "report",
      f"UPDATE report SET report_id = '{STRANGER}' WHERE report_id = $1",
      lambda s: s.report, lambda s: str(STRANGER)),
    T("rejected_told", "another reason than was told", "intake", "report",
      "UPDATE report SET reasons = '{reported_in_the_future}' WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(s.rejected)),
    T("registered", "the case is gone", "dispatch", '"case"',
      'DELETE FROM "case" WHERE report_id = $1',
      lambda s: s.report, lambda s: str(s.report)),
    T("registered", "a case that nobody reported", "dispatch", '"case"',
      f'UPDATE "case" SET report_id = \'{STRANGER}\' WHERE case_id = $1',
      lambda s: s.closed, _case),
    T("ledger_in_dispatch", "a hole", "dispatch", "ledger",
      "UPDATE ledger SET seq = 99 WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3")),
    T("ledger_in_dispatch", "the last one is gone", "dispatch", "ledger",
      "DELETE FROM ledger WHERE case_id = $1 AND seq = 8",
      lambda s: s.closed, lambda s: _case(s, ":8")),
    T("ledger_told", "told otherwise", "dispatch", "ledger",
      "UPDATE ledger SET occurred_at = occurred_at + interval '1 second'"
      " WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3")),
    T("case_state", "another state", "dispatch", '"case"',
      "UPDATE \"case\" SET state = 'accepted' WHERE case_id = $1", lambda s: s.closed, _case),
    T("applied_intake", "one behind", "intake", "case_view",
      "UPDATE case_view SET seq = seq - 1 WHERE case_id = $1",
      lambda s: s.closed, lambda s: _case(s, ":8")),
    T("applied_intake", "a step that residents do not see", "intake", "timeline",
      "DELETE FROM timeline WHERE case_id = $1 AND seq = (SELECT min(seq) FROM timeline"
      " WHERE case_id = $1)", lambda s: s.closed, _case),
    T("applied_notify", "one behind", "notify", "subject",
      "UPDATE subject SET seq = seq - 1 WHERE case_id = $1",
      lambda s: s.closed, lambda s: _case(s, ":8")),
    T("applied_notify", "ahead of its position", "notify", "position",
      "UPDATE position SET next_offset = 0 WHERE flow = $1",
      lambda s: "cases", lambda s: _case(s, ":8")),
    T("applied_metrics", "one ahead", "metrics", "fact",
      "UPDATE fact SET seq = seq + 1 WHERE case_id = $1",
      lambda s: s.closed, lambda s: _case(s, ":9")),
    T("applied_metrics", "the case is gone", "metrics", "fact",
      "DELETE FROM fact WHERE case_id = $1", lambda s: s.closed, lambda s: _case(s, ":1")),
    T("actions", "an answer is gone", "dispatch", "answer",
      "DELETE FROM answer WHERE request_id = $1",
      lambda s: s.resolved, lambda s: str(s.resolved)),
    T("actions", "a parked one is gone", "dispatch", "parked",
      "DELETE FROM parked WHERE flow = $1",
      lambda s: "requests", lambda s: str(s.waiting)),
    T("outcomes", "told otherwise", "dispatch", "answer",
      "UPDATE answer SET refusal = 'unknown_case' WHERE request_id = $1",
      lambda s: s.resolved, lambda s: str(s.resolved)),
    T("outcomes", "nobody was told", "dispatch", "answer",
      f"UPDATE answer SET request_id = '{STRANGER}' WHERE request_id = $1",
      lambda s: s.resolved, lambda s: str(STRANGER)),
    T("feedback_told", "told otherwise", "notify", "rating",
      "UPDATE rating SET score = 1 WHERE case_id = $1", lambda s: s.closed,
      lambda s: str(s.feedback)),
    T("feedback_told", "given by nobody", "notify", "rating",
      "DELETE FROM rating WHERE case_id = $1", lambda s: s.closed, lambda s: str(s.feedback)),
    T("feedback", "an answer is gone", "dispatch", "answer",
      "DELETE FROM answer WHERE kind = $1", lambda s: "feedback", lambda s: str(s.feedback)),
    T("ratings", "recorded, but refused", "dispatch", "answer",
      "UPDATE answer SET refusal = 'already_rated' WHERE kind = $1",
      lambda s: "feedback", lambda s: str(s.feedback)),
    T("messages", "one is gone", "notify", "message_done",
      "DELETE FROM message_done WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3:reporter")),
    T("messages", "one that nothing asks for", "notify", "message_done",
      "UPDATE message_done SET seq = 6 WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":6:reporter")),
    T("messages", "one waits though it has ended", "notify", "message_waiting",
      "INSERT INTO message_waiting (case_id, recipient, seq, shard, kind, asked_at, not_before,"
      " occurred_at, traceparent) SELECT case_id, recipient, seq, 0, kind, occurred_at,"
      " occurred_at, occurred_at, '' FROM message_done WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3:reporter")),
    T("deliveries", "told otherwise", "notify", "message_done",
      "UPDATE message_done SET result = 'unknown' WHERE case_id = $1 AND seq = 3",
      lambda s: s.closed, lambda s: _case(s, ":3:reporter")),
    T("facts", "another score", "metrics", "fact",
      "UPDATE fact SET score = 1 WHERE case_id = $1", lambda s: s.closed, _case),
    T("facts", "resolved a second earlier", "metrics", "fact",
      "UPDATE fact SET resolved_at = resolved_at - interval '1 second' WHERE case_id = $1",
      lambda s: s.closed, _case),
    T("counted_reports", "counted as accepted", "metrics", "report",
      "UPDATE report SET accepted = true WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(s.rejected)),
    T("counted_reports", "not counted", "metrics", "report",
      f"UPDATE report SET report_id = '{STRANGER}' WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(s.rejected)),
    T("counted_reports", "counted without being told", "metrics", "report",
      f"UPDATE report SET report_id = '{STRANGER}' WHERE report_id = $1",
      lambda s: s.rejected, lambda s: str(STRANGER)),
    T("counted_messages", "counted otherwise", "metrics", "message",
      "UPDATE message SET result = 'unknown' WHERE message_id = $1",
      lambda s: s.message, lambda s: str(s.message)),
    T("counted_messages", "not counted", "metrics", "message",
      "DELETE FROM message WHERE message_id = $1", lambda s: s.message, lambda s: str(s.message)),
    T("positions", "ahead of its topic", "metrics", "position",
      "UPDATE position SET next_offset = 1000000 WHERE flow = $1",
      lambda s: "network", lambda s: s.area),
    T("receipts", "its report is gone", "intake", "report",
      "DELETE FROM report WHERE report_id = $1", lambda s: s.report,
      lambda s: s.receipts[0].receipt),
]  # fmt: skip


@asynccontextmanager
async def tampered(story: Story, tampering: Tampering) -> AsyncIterator[None]:
    """Change a table, and put it back as it was."""
    connection = await asyncpg.connect(story.endpoints.databases[tampering.service])
    table = tampering.table
    try:
        await connection.execute(f"CREATE TEMPORARY TABLE before AS TABLE {table}")
        done = await connection.execute(tampering.sql, tampering.given(story))
        assert not done.endswith(" 0"), "the tampering changed nothing"
        try:
            yield
        finally:
            await connection.execute(
                f"TRUNCATE {table}; INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE before"
            )
    finally:
        await connection.close()


async def found_in(story: Story, receipts: Sequence[Receipt] = ()) -> dict[str, list[str]]:
    """The ids that each line which does not balance names."""
    balance = await books.balance(story.endpoints, story.outbox, [*story.receipts, *receipts])
    return {
        line.name: [difference.id for difference in line.differences]
        for line in balance
        if not line.balanced
    }


def test_every_line_is_unbalanced_by_something() -> None:
    assert {each.line for each in TAMPERINGS} | set(BY_OTHER_MEANS) == set(TITLES)


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda each: f"{each.line}: {each.what}")
async def test_what_was_tampered_with_is_named(story: Story, tampering: Tampering) -> None:
    async with tampered(story, tampering):
        found = await found_in(story)
    assert tampering.named(story) in found.get(tampering.line, []), found


async def told(story: Story, *events: CaseEvent) -> None:
    """Put events of our own making into dispatch's outbox."""
    connection = await asyncpg.connect(story.endpoints.databases["dispatch"])
    try:
        await append_outbox(connection, batches_of([_record(event) for event in events]))
    finally:
        await connection.close()


def _record(event: CaseEvent) -> OutboxMessage:
    now = datetime.now(UTC)
    return cloud_event(
        event,
        topic=CASE_EVENTS,
        key=str(event.case_id),
        event_id=f"{event.case_id}:{event.seq}",
        source="/tests",
        occurred_at=event.occurred_at,
        recorded_at=now,
        traceparent=TRACE,
    )


async def first_event(story: Story) -> CaseRegistered:
    """How the story's case began, as the topic has it."""
    targets = books.targets(story.endpoints, None)
    async with open_topics(targets.kafka, targets.prefix) as topics:
        places = await topics.places([CASE_EVENTS])
        first, ends = await topics.beginnings(places), await topics.ends(places)
        async for record in topics.records(places, first, ends):
            event = decode(record, TYPES[CASE_EVENTS])
            if isinstance(event, CaseRegistered) and event.case_id == story.closed:
                return event
    raise AssertionError("the topic does not have it")


async def invented(story: Story, seq: int) -> CaseAccepted:
    """An event of the story's case that never happened."""
    now = datetime.now(UTC)
    return CaseAccepted(
        case_id=story.closed, seq=seq, actor=SYSTEM, occurred_at=now, recorded_at=now
    )


async def test_a_second_case_of_a_report_is_named(story: Story) -> None:
    first = await first_event(story)
    again = first.model_copy(update={"case_id": STRANGER, "number": "991231-0001"})
    namesake = first.model_copy(update={"case_id": uuid.uuid4(), "report_id": STRANGER})
    otherwise = first.model_copy(update={"category": "unknown-to-all"})
    async with tampered(story, NOTHING):
        await told(story, again, namesake, otherwise)
        found = await found_in(story)
    assert {str(story.report), first.number} <= set(found["one_case"])
    assert f"{story.closed}:1" in found["ledger_on_topic"]


async def test_files_that_are_not_what_notify_says_are_named(story: Story) -> None:
    file = min(story.outbox.rglob("*-reporter-*.txt"))
    elsewhere, twice = story.outbox / "gone.part", story.outbox / file.name
    stray, unsent = story.outbox / "note.txt", story.outbox / f"{file.name[:-40]}{STRANGER}.txt"
    file.rename(elsewhere)
    missing = await found_in(story)
    elsewhere.rename(file)
    for file_added in (twice, stray, unsent):
        file_added.write_text("")
    added = await found_in(story)
    for each in (twice, stray, unsent):
        each.unlink()
    assert missing == {"message_files": [file.stem[-36:]]}
    assert added == {"message_files": sorted([file.name, stray.name, unsent.name])}


async def test_a_receipt_that_is_not_in_the_books_is_named(story: Story) -> None:
    links = books.links(story.endpoints)
    never = links.seal(LinkPurpose.RECEIPT, links.receipt_identity("app", "app", "never sent"))
    forged = story.receipts[0].receipt[:-1] + "?"
    of_another = Receipt(
        receipt=story.receipts[1].receipt, sender="app", channel="app", source_id="told"
    )
    given = [Receipt(receipt=never), Receipt(receipt=forged)]
    assert await found_in(story, given) == {"receipts": [forged, never]}
    assert await found_in(story, [of_another]) == {"receipts": [of_another.receipt]}


async def test_the_command_says_so_and_exits_with_1(story: Story, tmp_path: Path) -> None:
    """Live and waiting, and what it waits for is said; receipts from a file."""
    home = story.outbox.parent
    receipts = tmp_path / "receipts"
    receipts.write_text("\n".join(each.receipt for each in story.receipts) + "\n")
    code, document = await books.audit(home, "--live", "--receipts", str(receipts))
    assert (code, document["balanced"]) == (0, True), document
    by_name = {line["name"]: line for line in document["lines"]}
    assert list(by_name) == list(TITLES)
    assert by_name["receipts"]["expected"] == {"receipts given": len(story.receipts)}

    async with tampered(story, NOTHING):
        await told(story, await invented(story, 99))
        code, said, complained = await books.command(home, "audit", "--timeout", "0.2")
    assert (code, f"{story.closed}:99 is told" in said) == (1, True), said
    assert complained.count("dispatch: outbox (1)") == 2, complained  # waiting for, still in flight

    receipts.write_text('plain\n{"receipt": 1}\n')
    code, said, complained = await books.command(home, "audit", "--receipts", str(receipts))
    assert (code, said) == (2, ""), complained
    assert "line 2 of receipts holds no receipt" in complained


async def test_what_a_partner_took_back_is_no_record_even_once_it_is_trimmed(story: Story) -> None:
    intake = await asyncpg.connect(story.endpoints.databases["intake"])
    try:
        told = await intake.fetch("SELECT source_id FROM report WHERE channel = 'hotline'")
        assert sorted(row[0] for row in told) == sorted(story.committed)
        position = await intake.fetchval(
            "SELECT next_offset FROM position WHERE topic = 'channels.hotline' AND partition = 5"
        )
    finally:
        await intake.close()
    assert await found_in(story) == {}
    await trim(story, "channels.hotline", 5, position)
    assert await found_in(story) == {}
    forgotten = Tampering("", "", "intake", "passed_over", "DELETE FROM passed_over WHERE $1",
                          lambda _: True, str)  # fmt: skip
    async with tampered(story, forgotten):
        found = await found_in(story)
    # Two transactions that were taken back and two that were kept, each of two records and a mark.
    assert found == {"channel_records": [f"channels.hotline/5/{n}" for n in (0, 1, 2, 5, 6, 7, 8)]}


async def trim(story: Story, topic: str, partition: int, upto: int) -> None:
    """Delete a partition's records below an offset, as intake's trimmer does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=story.endpoints.bootstrap_servers)
    await admin.start()
    try:
        place = TopicPartition(story.endpoints.topic_prefix + topic, partition)
        await admin.delete_records({place: RecordsToDelete(upto)})
    finally:
        await admin.close()


async def test_a_stray_record_is_named_and_all_else_balances_to_the_end(story: Story) -> None:
    assert await found_in(story) == {}
    async with City(story.endpoints.model_dump(mode="json", by_alias=True)) as city:
        await city.tell(CASE_EVENTS, await invented(story, 10))
    found = await found_in(story)
    assert found == {
        "ledger_on_topic": [f"{story.closed}:9"],
        "ledger_told": [f"{story.closed}:10"],
    }
