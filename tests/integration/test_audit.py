"""`lastmetre audit` finds what does not balance: each line is unbalanced in turn and named."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from lastmetre.audit.balance import TITLES, Balance
from lastmetre.audit.receipts import Receipt
from lastmetre.common.contracts.cases import CaseEvent, CaseRegistered, ReportMerged
from lastmetre.common.contracts.topics import CASE_EVENTS
from lastmetre.common.kafka.codec import OutboxMessage, cloud_event, kafka_headers
from lastmetre.common.kafka.writer_epochs import epoch_began
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.outbox_table import append_outbox
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.devstack import Stack
from tests.integration.audit_story import Story, first_told, invented, live_through
from tests.integration.audit_tamperings import NOTHING, STRANGER, TAMPERINGS, Tampering
from tests.support import books
from tests.support.city import TRACE, City
from tests.support.city.own import own_city

BY_OTHER_MEANS = ("one_case", "ledger_on_topic", "message_files")


@pytest.fixture(scope="module")
def story(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """A city whose services have done their work and ended, so that nobody mends anything."""
    with own_city(stack, tmp_path_factory.mktemp("audited") / "home") as own:
        return asyncio.run(live_through(own))


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
    return unbalanced(
        await books.balance(story.endpoints, story.outbox, [*story.receipts, *receipts])
    )


def unbalanced(balance: Balance) -> dict[str, list[str]]:
    """The ids that each line which does not balance names."""
    return {
        line.name: [difference.id for difference in line.differences]
        for line in balance
        if not line.balanced
    }


def test_every_line_is_unbalanced_by_something() -> None:
    assert {each.line for each in TAMPERINGS} | set(BY_OTHER_MEANS) == set(TITLES)


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda each: f"{each.line}: {each.what}")
async def test_what_was_tampered_with_is_named(story: Story, tampering: Tampering) -> None:
    """By an audit of everything, and by one that goes on from a checkpoint of before."""
    before = await books.audited(story.endpoints, story.outbox, story.receipts)
    assert before.next, before.none_because
    async with tampered(story, tampering):
        since = await books.audited(
            story.endpoints, story.outbox, story.receipts, checkpoint=before.next
        )
        # Where the checkpoint does not hold, that was one of everything.
        found = await found_in(story) if since.since else unbalanced(since.balance)
    assert tampering.named(story) in found.get(tampering.line, []), found
    assert unbalanced(since.balance) == found, since.everything_because


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


async def test_a_second_case_of_a_report_is_named(story: Story) -> None:
    first = await first_told(story, CaseRegistered)
    again = first.model_copy(update={"case_id": STRANGER, "number": "991231-0001"})
    namesake = first.model_copy(update={"case_id": uuid.uuid4(), "report_id": STRANGER})
    otherwise = first.model_copy(update={"category": "unknown-to-all"})
    async with tampered(story, NOTHING):
        await told(story, again, namesake, otherwise)
        found = await found_in(story)
    assert {str(story.report), first.number} <= set(found["one_case"])
    assert f"{story.closed}:1" in found["ledger_on_topic"]


async def test_a_report_that_is_in_two_cases_is_named(story: Story) -> None:
    first = await first_told(story, CaseRegistered)
    facts = first.model_dump(exclude={"number", "seq", "report_id"})
    joins = ReportMerged(**facts, seq=9, report_id=STRANGER)
    its_own = first.model_copy(
        update={"case_id": uuid.uuid4(), "report_id": STRANGER, "number": "991231-0002"}
    )
    async with tampered(story, NOTHING):
        await told(story, joins, its_own)
        found = await found_in(story)
    assert str(STRANGER) in found["one_case"]


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
    # Two transactions that were taken back, each of two records and a mark. The second is followed
    # by the mark of the one before it, so that nobody who did not look can tell.
    assert await found_in(story) == {
        "channel_gaps": ["channels.hotline/5/0-2", "channels.hotline/5/5-8"]
    }
    await look_into_gaps(story)
    assert await found_in(story) == {}
    forgotten = Tampering("", "", "intake", "passed_over", "DELETE FROM passed_over WHERE $1",
                          lambda _: True, str)  # fmt: skip
    async with tampered(story, forgotten):
        found = await found_in(story)
    # Two transactions that were taken back and two that were kept, each of two records and a mark.
    assert found == {"channel_records": [f"channels.hotline/5/{n}" for n in (0, 1, 2, 5, 6, 7, 8)]}


async def look_into_gaps(story: Story) -> None:
    """Note what intake's trimmer would have seen, had it been the one that trimmed."""
    intake = await asyncpg.connect(story.endpoints.databases["intake"])
    try:
        await intake.execute(
            "INSERT INTO empty_stretch SELECT topic, partition, first_offset, next_offset, now()"
            " FROM passed_over WHERE flow = 'channels'"
        )
    finally:
        await intake.close()


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
        await city.tell(await invented(story, 10))
    found = await found_in(story)
    assert found == {
        "ledger_on_topic": [f"{story.closed}:9"],
        "ledger_told": [f"{story.closed}:10"],
    }


async def test_what_is_of_a_writer_epoch_that_is_past_is_in_no_book(story: Story) -> None:
    before = await found_in(story)
    key, headers, body = epoch_began(f"{CASE_EVENTS}-{story.partition}", 1)
    async with City(story.endpoints.model_dump(mode="json", by_alias=True)) as city:
        await city.produce(CASE_EVENTS, key, body, kafka_headers(headers), story.partition)
        await city.tell(await invented(story, 9))
    assert await found_in(story) == before


@pytest.mark.parametrize(("partition", "position"), [(7, 50), (8, 1)])
async def test_lost_reports_that_were_booked_as_a_gap_are_named_once_trimmed(
    story: Story, partition: int, position: int
) -> None:
    """As a consumer left it that let a batch go while the database refused."""
    topic = "channels.patrol"
    async with City(story.endpoints.model_dump(mode="json", by_alias=True)) as city:
        for offset in range(position):
            assert await city.produce(topic, b"lost", b"{}", [], partition) == (partition, offset)
    lost = Tampering("", "", "intake", "passed_over",
                     "INSERT INTO passed_over"
                     f" VALUES ('channels', 'channels.patrol', $1, 0, {position})",
                     lambda _: partition, str)  # fmt: skip
    read = Tampering("", "", "intake", "position",
                     "INSERT INTO position"
                     f" VALUES ('channels', 'channels.patrol', $1, {position}, 0)"
                     " ON CONFLICT (flow, topic, partition)"
                     f" DO UPDATE SET next_offset = {position}",
                     lambda _: partition, str)  # fmt: skip
    async with tampered(story, lost), tampered(story, read):
        kept = await found_in(story)
        await trim(story, topic, partition, position)
        code, document = await books.audit(story.outbox.parent, "--live")
    assert len(kept["channel_gaps"]) == len(kept["channel_records"]) == position, kept
    gaps = next(line for line in document["lines"] if line["name"] == "channel_gaps")
    assert (code, gaps["differences"]) == (
        1,
        [
            {
                "id": f"{topic}/{partition}/0" + (f"-{position - 1}" if position > 1 else ""),
                "what": "was passed over and is trimmed:"
                f" {position} offsets cannot be proved empty",
            }
        ],
    )
