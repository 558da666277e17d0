"""The outbox on a real database and broker: what was put in comes out, once each and in order."""

import asyncio
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from lastmetre.common.contracts.topics import CASE_EVENTS, MESSAGE_BYTES, PARTITIONS, TOPICS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.codec import OutboxMessage, kafka_headers, packed
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.common.outbox.messages import batches_of, shard_of
from lastmetre.common.postgres.migrate import migrate
from lastmetre.common.postgres.outbox_table import append_outbox
from lastmetre.common.service.kafka_clients import KafkaClients, build_relay
from lastmetre.devstack import Stack
from tests.support.databases import fresh_database, migrate_in_part

PACKAGE = "common.runtime"
PAGE_BYTES = 8192


@pytest.fixture
def database(stack: Stack) -> str:
    return fresh_database(stack, "dispatch")


@pytest.fixture
async def prefix(stack: Stack) -> AsyncIterator[str]:
    prefix = f"t{secrets.token_hex(4)}."
    await apply_topics(stack.endpoints.bootstrap_servers, prefix, development=True)
    yield prefix
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.endpoints.bootstrap_servers)
    await admin.start()
    await admin.delete_topics([prefix + topic.name for topic in TOPICS])
    await admin.close()


def record(key: int, number: int, size: int = 300) -> OutboxMessage:
    """The `number`th record of a key. Its headers hold what would end a line."""
    headers = packed({"number": str(number), "reason": "two\nlines"})
    return OutboxMessage(CASE_EVENTS, b"key-%d" % key, headers, b"%d " % number + b"x" * size)


async def relayed(database: str, bootstrap: str, prefix: str) -> None:
    clients = KafkaClients("dispatch", KafkaAccess.plaintext(bootstrap), prefix)
    relay = build_relay("dispatch", [CASE_EVENTS], database, clients)
    running = asyncio.create_task(relay.run())
    await asyncio.sleep(0)  # now it has begun, and being stopped it empties what is there
    relay.stop()
    await asyncio.wait_for(running, 30)


async def on_the_topic(bootstrap: str, prefix: str) -> dict[bytes, list[tuple[bytes | None, str]]]:
    """By key, in order: body and the header `number`."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, fetch_max_bytes=8 << 20, max_partition_fetch_bytes=4 << 20
    )
    await consumer.start()
    try:
        places = [TopicPartition(prefix + CASE_EVENTS, p) for p in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
        found: dict[bytes, list[tuple[bytes | None, str]]] = defaultdict(list)
        left = sum(ends.values())
        while left:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                left -= len(records)
                for each in records:
                    assert dict(each.headers)["reason"] == b"two\nlines"
                    number = dict(each.headers)["number"].decode()
                    found[each.key or b""].append((each.value, number))
        return found
    finally:
        await consumer.stop()


async def test_what_goes_in_comes_out_in_order_in_few_rows(
    stack: Stack, database: str, prefix: str
) -> None:
    bootstrap = stack.endpoints.bootstrap_servers
    await migrate(database, (PACKAGE,))
    largest = record(0, 999, MESSAGE_BYTES - 2048)
    removal = OutboxMessage(
        CASE_EVENTS, b"key-1", packed({"number": "999", "reason": "two\nlines"}), None
    )
    sent = [record(number % 20, number) for number in range(900)] + [largest, removal]
    connection = await asyncpg.connect(database)
    try:
        for first in range(0, len(sent), 451):  # two transactions, one behind the other
            await append_outbox(connection, batches_of(sent[first : first + 451]))
        packs = await connection.fetch("SELECT records, pg_column_size(o.*) AS size FROM outbox o")
        assert sum(pack["records"] for pack in packs) == len(sent)
        assert len(packs) < len(sent) / 10
        assert max(pack["size"] for pack in packs if pack["records"] > 1) < PAGE_BYTES
        await relayed(database, bootstrap, prefix)
        assert await connection.fetchval("SELECT count(*) FROM outbox") == 0
    finally:
        await connection.close()
    expected = defaultdict(list)
    for each in sent:
        number = dict(kafka_headers(each.headers))["number"].decode()
        expected[each.key].append((each.value, number))
    assert await on_the_topic(bootstrap, prefix) == expected


async def test_records_that_waited_when_packs_came_are_not_lost(
    stack: Stack, database: str, prefix: str
) -> None:
    """A database of the time when each record had a row of its own."""
    connection = await asyncpg.connect(database)
    waiting = [record(0, number) for number in range(50)]
    try:
        await migrate_in_part(connection, PACKAGE, 3)
        await connection.executemany(
            "INSERT INTO outbox (topic, partition, shard, key, headers, value)"
            " VALUES ($1, 3, $2, $3, $4, $5)",
            [(o.topic, shard_of(o.topic, 3), o.key, o.headers, o.value) for o in waiting],
        )
        await migrate(database, (PACKAGE,))
        await relayed(database, stack.endpoints.bootstrap_servers, prefix)
    finally:
        await connection.close()
    found = await on_the_topic(stack.endpoints.bootstrap_servers, prefix)
    assert found == {b"key-0": [(o.value, str(n)) for n, o in enumerate(waiting)]}
