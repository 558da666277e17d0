"""A small city of its own with something on every line of the books, and then nobody at work."""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx
from aiokafka import AIOKafkaProducer

from lastmetre.audit.partition_view import TYPES
from lastmetre.audit.receipts import Receipt
from lastmetre.common.contracts.base import SYSTEM, Actor, ActorRole
from lastmetre.common.contracts.cases import CaseAccepted, CaseRegistered
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.requests import Action, ActionAnswered, ActionRequested
from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.codec import decode
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.topic_reader import open_topics
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Endpoints, Stack
from tests.support import books
from tests.support.city import City

Told = TypeVar("Told", CaseRegistered, ActionAnswered)

CONTACT = {"name": "陈先生", "phone": "13800138000"}


@dataclass(frozen=True)
class Story:
    """What happened, by the names that the tamperings use."""

    endpoints: Endpoints
    outbox: Path
    receipts: list[Receipt]
    committed: list[str]
    """Source ids of what a partner wrote in transactions that he did not take back."""
    closed: UUID
    """A case that went all the way and was rated."""
    partition: int
    """Where its events are."""
    report: UUID
    """The report that it came from."""
    place: str
    """topic/partition/offset of that report's record."""
    rejected: UUID
    """A report that was rejected."""
    repeated: str
    """The place of a record that was a repetition."""
    dead: str
    """The place of a record that is a dead letter."""
    resolved: UUID
    """The action that resolved the case."""
    waiting: UUID
    """An action on a case that nobody knows: it waits parked."""
    feedback: UUID
    asked_again: UUID
    """The request to send the case's lead again what could not be sent: he has no address."""
    message: UUID
    """What notify told the reporter when the lead accepted."""
    merged: UUID
    """A case that was merged into another."""
    into: UUID
    """That other case, of which a second report was split off again."""
    merged_report: UUID
    """The report of the merged case."""
    apart: UUID
    """The case of the report that was split off."""
    area: str
    """A partition where metrics has read the network."""


async def live_through(stack: Stack) -> Story:
    """Have everything happen once, and wait until nothing is in flight."""
    async with City(stack.endpoints.model_dump(mode="json", by_alias=True)) as city:
        await city.import_network()
        receipt = await city.report("told", contact=CONTACT)
        closed = await city.case_of(receipt)
        receipts = [Receipt(receipt=receipt)]
        assert await city.report("told", contact=CONTACT) == receipt
        await city.report("told", text="井盖不见了")
        receipts += [Receipt(receipt=await city.report(f"other-{n}")) for n in range(5)]
        receipts.append(Receipt(receipt=await city.report("nothing", text=" ")))
        committed = await in_transactions(city)
        await city.produce("channels.app", b"dead", b"not JSON", [], partition=3)
        for action in ("accept", "arrive"):
            assert (await city.act(closed, action)).is_success
        resolved, waiting = uuid.uuid4(), uuid.uuid4()
        await city.ask(_asked(resolved, closed), _asked(waiting, uuid.uuid4()))
        await city.until(lambda: _closed(city, closed), "closing")
        assert (await city.rate(closed, 7, score=4)).is_success
        await city.until(lambda: _rated(city, closed), "rating in the ledger")
        asked_again = await _send_again(city, closed)
        into, merged, apart = [await city.case_of(each.receipt) for each in receipts[3:6]]
        merged_report, split_report = (
            await _merge(city, into, merged),
            await _merge(city, into, apart),
        )
        seen = {"expected_seq": 4, "report_id": str(split_report)}
        assert (await _operator(city, into, "split", **seen)).is_success
        left = await books.quiet(stack.endpoints)
        assert not left, left
        intake = await city.database("intake")
        metrics = await city.database("metrics")
        place = "topic || '/' || partition || '/' || \"offset\""
        return Story(
            endpoints=stack.endpoints,
            outbox=stack.home.outbox,
            receipts=receipts,
            committed=committed,
            closed=closed,
            partition=partitions_of([str(closed).encode()], PARTITIONS)[0],
            report=await intake.fetchval("SELECT report_id FROM case_view WHERE seq = 8"),
            place=await intake.fetchval(
                f"SELECT {place} FROM report WHERE report_id ="
                " (SELECT report_id FROM case_view WHERE seq = 8)"
            ),
            rejected=await intake.fetchval(
                "SELECT report_id FROM report WHERE outcome = 'rejected'"
            ),
            repeated=await intake.fetchval(
                f"SELECT {place} FROM later_record WHERE outcome = 'repeated'"
            ),
            dead=await intake.fetchval(f"SELECT {place} FROM dead_letter"),
            resolved=resolved,
            waiting=waiting,
            feedback=await (await city.database("notify")).fetchval(
                "SELECT feedback_id FROM rating"
            ),
            asked_again=asked_again,
            merged=merged,
            into=into,
            merged_report=merged_report,
            apart=apart,
            message=await metrics.fetchval("SELECT min(message_id::text)::uuid FROM message"),
            area=await metrics.fetchval(
                "SELECT 'metrics.network ' || topic || '/' || partition FROM position"
                " WHERE flow = 'network'"
            ),
        )


async def _operator(city: City, case_id: UUID, action: str, **more: Any) -> httpx.Response:
    reason = {"correction_reason": "said_in_report"}
    return await city.act(case_id, action, role=Role.OPERATOR, **reason, **more)


async def _merge(city: City, into: UUID, case_id: UUID) -> UUID:
    """Merge a case into another; returns the report that it was registered for."""
    seen = {"expected_seq": 2, "into_case": str(into), "into_expected_seq": 2}
    assert (await _operator(city, case_id, "merge", **seen)).is_success
    dispatch = await city.database("dispatch")
    report_id: UUID = await dispatch.fetchval(
        'SELECT report_id FROM "case" WHERE case_id = $1', case_id
    )
    return report_id


async def in_transactions(city: City) -> list[str]:
    """Write to the hotline as a partner with transactions, and take every other one back."""
    producer = AIOKafkaProducer(
        bootstrap_servers=city.endpoints["KAFKA_BOOTSTRAP_SERVERS"],
        transactional_id=f"{city.prefix}partner",
    )
    headers = [("ce_type", ReportSubmitted.TYPE.encode()), ("ce_source", b"/channels/hotline/work")]
    committed: list[str] = []
    await producer.start()
    try:
        for transaction in range(5):
            await producer.begin_transaction()
            told = [f"{transaction}-{n}" for n in range(2)]
            for source_id in told:
                report = ReportSubmitted(source_id=source_id, text="路面塌陷")
                await producer.send_and_wait(
                    f"{city.prefix}channels.hotline",
                    report.model_dump_json().encode(),
                    key=source_id.encode(),
                    partition=5,
                    headers=headers,
                )
            if transaction % 2:
                await producer.commit_transaction()
                committed += told
            else:
                await producer.abort_transaction()
    finally:
        await producer.stop()
    return committed


def _asked(action_id: UUID, case_id: UUID) -> ActionRequested:
    return ActionRequested(
        case_id=case_id,
        action_id=action_id,
        action=Action.RESOLVE,
        actor=Actor(role=ActorRole.LEAD, id="L0"),
        occurred_at=datetime.now(UTC),
    )


async def _send_again(city: City, case_id: UUID) -> UUID:
    """Ask to send again what a lead without an address was to be told."""
    messages = city.url("notify", f"/api/notify/v1/cases/{case_id}/messages")
    operator, request_id = city.bearer(Role.OPERATOR), uuid.uuid4()

    async def failed() -> str | None:
        listed = (await city.http.get(messages, headers=operator)).json()["messages"]
        return next((each["first_id"] for each in listed if each["can_be_sent_again"]), None)

    first_id = await city.until(failed, "message to a lead that failed")
    body = {"request_id": str(request_id)}
    answer = await city.http.post(f"{messages}/{first_id}/again", json=body, headers=operator)
    assert answer.status_code == 202
    return request_id


async def _closed(city: City, case_id: UUID) -> bool:
    return (await city.state(case_id))[1] == "closed"


async def _rated(city: City, case_id: UUID) -> bool:
    return (await city.ledger(case_id))[-1] == "rated"


async def first_told(story: Story, kind: type[Told]) -> Told:
    """The first message of this kind on the story's case, as its topic has it."""
    (topic,) = (name for name, types in TYPES.items() if kind in types.values())
    targets = books.targets(story.endpoints, None)
    async with open_topics(targets.kafka, targets.prefix) as topics:
        places = await topics.places([topic])
        first, ends = await topics.beginnings(places), await topics.ends(places)
        async for record in topics.records(places, first, ends):
            message = decode(record, TYPES[topic])
            if isinstance(message, kind) and message.case_id == story.closed:
                return message
    raise AssertionError("the topic does not have it")


async def invented(story: Story, seq: int) -> CaseAccepted:
    """An event of the story's case that never happened."""
    now = datetime.now(UTC)
    return CaseAccepted(
        case_id=story.closed, seq=seq, actor=SYSTEM, occurred_at=now, recorded_at=now
    )
