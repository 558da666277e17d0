"""Bad records on the topics that partners write: each becomes a dead letter with its reason or is
answered, the good ones between go through, and no partition stands still."""

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import FEEDBACK as FEEDBACK_TOPIC
from lastmetre.common.contracts.topics import (
    FIELD_ACTIONS,
    MESSAGE_BYTES,
    PARTITIONS,
    channel_topic,
)
from lastmetre.devstack import Stack
from tests.integration.hostile_kafka import (
    ACTION,
    DEAD_REPORTS,
    STRANGE_REPORTS,
    Asking,
    Record,
    app,
    body,
    dead_actions,
    dead_feedback,
    refused_actions,
)
from tests.support.books import audit
from tests.support.city import City, submitted
from tests.support.logs import nothing_unexpected
from tests.support.raw_batch import send_raw_batch
from tests.support.tail import outcomes, tail

APP = channel_topic(Channel.APP)
CODECS = ("gzip", "snappy", "lz4", "zstd")

Place = tuple[str, int, int]


@pytest.fixture(autouse=True)
def quiet(stack: Stack) -> Iterator[None]:
    with nothing_unexpected(stack):
        yield


async def until_dead(city: City, service: str, expected: dict[Place, tuple[str, str]]) -> None:
    """Wait until the records at these places are dead letters, and compare what they say."""
    database = await city.database(service)

    async def letters() -> dict[Place, str] | None:
        rows = await database.fetch('SELECT topic, partition, "offset", error FROM dead_letter')
        found = {(row[0], row[1], row[2]): row[3] for row in rows}
        return found if expected.keys() <= found.keys() else None

    found = await city.until(letters, "dead letter for each bad record")
    wrong = [
        f"{name}: {found[place]}, not {says}"
        for place, (name, says) in expected.items()
        if says not in found[place]
    ]
    assert not wrong, "\n".join(wrong)


async def until_reported(city: City, source_ids: Sequence[str]) -> None:
    """Wait until these are accepted reports."""
    database = await city.database("intake")

    async def accepted() -> bool:
        count = await database.fetchval(
            "SELECT count(*) FROM report WHERE source_id = ANY($1) AND outcome = 'accepted'",
            source_ids,
        )
        return bool(count == len(source_ids))

    await city.until(accepted, f"report for each of {len(source_ids)} good records")


async def send_dead(
    city: City, topic: str, records: Sequence[Record], key: bytes
) -> dict[Place, tuple[str, str]]:
    """Write bad records, one partition after the other; the places they got."""
    places: dict[Place, tuple[str, str]] = {}
    for number, (name, value, headers, says) in enumerate(records):
        where = number % PARTITIONS
        partition, offset = await city.produce(topic, key, value, headers, partition=where)
        places[topic, partition, offset] = name, says
    return places


async def test_reports(city: City) -> None:
    name = f"hostile-{uuid.uuid4()}"
    good: list[str] = []

    def next_id() -> str:
        good.append(f"{name}-{len(good)}")
        return good[-1]

    async with tail(city.endpoints, "intake.dlq") as letters:
        dead = await send_dead(city, APP, DEAD_REPORTS, b"a partner's key")
        for number, (key, sent, headers) in enumerate(STRANGE_REPORTS.values()):
            value = sent.replace(b'"dead"', f'"{next_id()}"'.encode())
            await city.produce(APP, key, value, headers, partition=number % PARTITIONS)
        await until_dead(city, "intake", dead)
        told = await letters.until(lambda records: len(records) >= len(dead))
        assert {record.key for record in told} == {b"a partner's key"}
        assert all(record.header("lastmetre_error") for record in told)
    await until_reported(city, good)


@pytest.mark.parametrize("codec", [*CODECS, None])
async def test_batches(city: City, codec: str | None) -> None:
    """A bad record and an unreadable header name within a batch, in each codec and in none."""
    name = f"hostile-{uuid.uuid4()}"
    database = await city.database("intake")
    before = await database.fetchval("SELECT count(*) FROM dead_letter")
    records = [
        (body(source_id=f"{name}-1"), app()),
        (b"{", app()),
        (body(source_id=f"{name}-2"), app()),
        (body(source_id=f"{name}-dead"), app(("REPLACED", b"v"))),
        (body(source_id=f"{name}-3"), app()),
    ]
    producer = AIOKafkaProducer(
        bootstrap_servers=city.endpoints["KAFKA_BOOTSTRAP_SERVERS"],
        acks="all",
        compression_type=codec,
    )
    await producer.start()
    try:
        if codec is None:
            unreadable = b"REPLACED", b"\xff\xfe\x00\xc3abcd"
            await send_raw_batch(producer, city.prefix + APP, 3, records, unreadable)
        else:
            batch = producer.create_batch()
            for value, headers in records[:3]:
                batch.append(key=b"k", value=value, timestamp=None, headers=headers)
            await (await producer.send_batch(batch, city.prefix + APP, partition=3))
    finally:
        await producer.stop()
    await until_reported(city, [f"{name}-{n}" for n in ((1, 2) if codec else (1, 2, 3))])
    dead = await database.fetchval("SELECT count(*) FROM dead_letter")
    assert dead - before == (1 if codec else 2)


async def test_what_no_topic_takes(city: City) -> None:
    """The broker refuses a record over the limit; the partner is told, nobody else notices."""
    producer = AIOKafkaProducer(
        bootstrap_servers=city.endpoints["KAFKA_BOOTSTRAP_SERVERS"],
        max_request_size=4 * MESSAGE_BYTES,
    )
    await producer.start()
    try:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send_and_wait(city.prefix + APP, b"x" * 2 * MESSAGE_BYTES)
    finally:
        await producer.stop()


async def test_actions(city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"hostile-{uuid.uuid4()}")
    key = str(case_id).encode()
    lost = Asking(uuid.uuid4(), uuid.uuid4())
    dispatch = await city.database("dispatch")
    async with outcomes(city.endpoints) as answers:
        await city.produce(FIELD_ACTIONS, None, lost.action(), ACTION, partition=5)
        asked = {
            name: (Asking(case_id, uuid.uuid4()), reason)
            for name, (_, reason) in refused_actions(lost).items()
        }
        dead = await send_dead(
            city, FIELD_ACTIONS, dead_actions(Asking(case_id, uuid.uuid4())), key
        )
        for name, (about, _) in asked.items():
            await city.produce(FIELD_ACTIONS, key, refused_actions(about)[name][0], ACTION)
        await until_dead(city, "dispatch", dead)
        told = {name: (await answers.to(a.action_id))[0].refusal for name, (a, _) in asked.items()}
        assert told == {name: reason for name, (_, reason) in asked.items()}
        assert await city.ledger(case_id) == ["registered", "dispatched"]

        # Without a key, or under another case's, an action is answered all the same.
        for strange, action in ((None, "accept"), (str(uuid.uuid4()).encode(), "arrive")):
            about = Asking(case_id, uuid.uuid4())
            await city.produce(FIELD_ACTIONS, strange, about.action(action=action), ACTION)
            (answer,) = await answers.to(about.action_id)
            assert (answer.action.value, answer.done) == (action, True)

        # Nobody knows the case: the action waits ten minutes for it, and is refused then.
        async def parked() -> bool:
            aged = await dispatch.execute(
                "UPDATE parked SET parked_at = parked_at - interval '11 minutes' WHERE key = $1",
                lost.case_id,
            )
            return bool(aged == "UPDATE 1")

        await city.until(parked, "parked action")
        (answer,) = await answers.to(lost.action_id)
        assert (answer.case_id, answer.refusal, answer.seq) == (lost.case_id, "unknown_case", 0)


async def test_feedback(city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"hostile-{uuid.uuid4()}")
    about = Asking(case_id, uuid.uuid4())
    dead = await send_dead(city, FEEDBACK_TOPIC, dead_feedback(about), str(case_id).encode())
    await until_dead(city, "dispatch", dead)
    assert (await city.act(case_id, "resolve")).status_code == 200
    assert (await city.rate(case_id, 5)).is_success

    async def rated() -> bool:
        return (await city.ledger(case_id))[-1] == "rated"

    await city.until(rated, "rating after all that")


async def test_afterwards(stack: Stack, city: City) -> None:
    """Every partition of every channel takes a good report and hands it on; the books balance."""
    name = f"hostile-{uuid.uuid4()}-{datetime.now(UTC):%H%M%S}"
    sent = [(channel, n, f"{name}-{channel.value}-{n}") for channel in Channel
            for n in range(PARTITIONS)]  # fmt: skip
    await asyncio.gather(
        *(
            city.produce(
                channel_topic(channel),
                b"k",
                body(source_id=source_id),
                submitted(channel.value),
                partition=partition,
            )
            for channel, partition, source_id in sent
        )
    )
    await until_reported(city, [source_id for _, _, source_id in sent])
    code, document = await audit(stack.home.root)
    assert code == 0, document
