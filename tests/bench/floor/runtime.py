"""Pool, outbox relay and consumers of one service, without anything that could be left out."""

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.structs import RecordMetadata

from lastmetre.common.kafka.partitioner import partitions_of

Connection = asyncpg.pool.PoolConnectionProxy
Out = tuple[str, bytes, bytes, bytes]  # topic, key, headers, value
Rows = list[ConsumerRecord[Any, Any]]
Handle = Callable[[Connection, Rows], Awaitable[list[Out]]]
Sent = tuple[int, int]  # shard, id
Reached = tuple[str, int, int, int | None]  # topic, partition, next offset, appended at

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
PREFIX = os.environ.get("LASTMETRE_TOPIC_PREFIX", "")
PARTITIONS = 12
ALL = range(PARTITIONS)
OWN = ("reports", "case.events", "field.outcomes", "notify.deliveries")
SHARDS = {(topic, p): at * PARTITIONS + p for at, topic in enumerate(OWN) for p in ALL}
BATCH = 1000
PACK = 14
PACK_BYTES = 16 * 1024
BATCH_BYTES = 512 * 1024
HEADERS = (
    "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_recordedtime",
    "traceparent", "content-type",
)  # fmt: skip
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
# As compact as the platform's; json.dumps would make a new encoder each time.
to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def uuid7(milliseconds: int) -> UUID:
    bits = int.from_bytes(os.urandom(10), "big")
    high, low = bits >> 62 & 0xFFF, bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


_columns: dict[str, list[str]] = {}


async def copy(connection: Connection, table: str, records: Sequence[tuple[object, ...]]) -> None:
    """Into a table's first columns: what later migrations have added stands behind them."""
    if not records:
        return
    if table not in _columns:
        found = await connection.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0"
            " AND NOT attisdropped ORDER BY attnum",
            f'"{table}"',
        )
        _columns[table] = [row[0] for row in found]
    columns = _columns[table][: len(records[0])]
    await connection.copy_records_to_table(table, records=records, columns=columns)


def header(record: ConsumerRecord[Any, Any], name: str) -> bytes:
    for key, value in record.headers:
        if key == name:
            return value
    return b""


def event(topic: str, key: str, kind: str, body: dict[str, Any], event_id: str, now: str) -> Out:
    headers = "\n".join(("1.0", event_id, kind, "/floor", key, now, now, TRACE, "application/json"))
    return topic, key.encode(), headers.encode(), to_json(body).encode()


def step(record: ConsumerRecord[Any, Any]) -> str:
    return header(record, "ce_type").split(b".")[2].decode()


def folded(records: Rows) -> dict[UUID, list[tuple[str, dict[str, Any]]]]:
    cases: dict[UUID, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for record in records:
        body = json.loads(record.value or b"")
        cases[UUID(body["case_id"])].append((step(record), body))
    return cases


class Service:
    """Pool, outbox relay and consumers of one service."""

    def __init__(self, name: str, sends: Sequence[str]) -> None:
        self.name = name
        self.shards = [SHARDS[topic, partition] for topic in sends for partition in ALL]
        self.wake = asyncio.Event()

    async def start(self) -> None:
        dsn = os.environ[f"{self.name.upper()}_DATABASE_URL"]
        self.pool = await asyncpg.create_pool(dsn, min_size=2, max_size=8)
        self.producer = AIOKafkaProducer(
            bootstrap_servers=BOOTSTRAP,
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=3 << 20,
        )
        await self.producer.start()
        self.relaying = asyncio.create_task(self.relay())

    async def outbox(self, connection: Connection, out: list[Out]) -> None:
        packs: dict[tuple[str, int, int], list[list[bytes]]] = {}
        filled: list[tuple[object, ...]] = []
        partitions = partitions_of([each[1] for each in out], PARTITIONS)
        for (topic, *record), partition in zip(out, partitions, strict=True):
            place = topic, partition, SHARDS[topic, partition]
            pack = packs.setdefault(place, [])
            pack.append(record)
            if len(pack) == PACK:
                filled.append((*place, PACK, *map(list, zip(*packs.pop(place), strict=True))))
        for place, pack in packs.items():
            filled.append((*place, len(pack), *map(list, zip(*pack, strict=True))))
        await connection.copy_records_to_table(
            "outbox",
            records=filled,
            columns=("topic", "partition", "shard", "records", "keys", "headers", "bodies"),
        )

    async def relay(self) -> None:
        async with self.pool.acquire() as connection:
            await connection.execute("SELECT pg_advisory_lock(1)")
            while True:
                self.wake.clear()
                rows = await connection.fetch(
                    """
                    SELECT o.shard, o.id, o.topic, o.partition, o.keys, o.headers, o.bodies
                    FROM unnest($1::int[]) AS wanted(shard) CROSS JOIN LATERAL (
                        SELECT * FROM outbox WHERE outbox.shard = wanted.shard
                        ORDER BY shard, id LIMIT 60) AS o
                    """,
                    self.shards,
                )
                if not rows:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wake.wait(), 0.1)
                    continue
                sent, reached = await self.send(rows)
                await connection.execute(
                    """
                    WITH deleted AS (
                        DELETE FROM outbox o USING unnest($1::int[], $2::bigint[]) AS d(shard, id)
                        WHERE o.shard = d.shard AND o.id = d.id
                    )
                    INSERT INTO outbox_acknowledged (topic, partition, next_offset, appended_at)
                    SELECT * FROM unnest($3::text[], $4::int[], $5::bigint[], $6::bigint[])
                    ON CONFLICT (topic, partition) DO UPDATE
                        SET next_offset = excluded.next_offset, appended_at = excluded.appended_at
                    """,
                    *zip(*sent, strict=True),
                    *zip(*reached, strict=True),
                )

    async def send(self, rows: list[asyncpg.Record]) -> tuple[list[Sent], list[Reached]]:
        groups: dict[tuple[str, int], list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            groups[row[2], row[3]].append(row)
        sent: list[Sent] = []
        futures: list[Awaitable[RecordMetadata]] = []
        counts: list[int] = []
        for (topic, partition), group in groups.items():
            batch = self.producer.create_batch()
            for row in group:
                if batch.size() > BATCH_BYTES - PACK_BYTES:
                    break
                for key, packed, value in zip(row[4], row[5], row[6], strict=True):
                    headers = list(zip(HEADERS, packed.split(b"\n"), strict=True))
                    assert batch.append(key=key, value=value, timestamp=None, headers=headers)
                sent.append((row[0], row[1]))
            counts.append(batch.record_count())
            futures.append(
                await self.producer.send_batch(batch, PREFIX + topic, partition=partition)
            )
        answers = zip(groups, counts, await asyncio.gather(*futures), strict=True)
        return sent, [
            (topic, partition, answer.offset + count, answer.timestamp)
            for (topic, partition), count, answer in answers
        ]

    async def consume(
        self,
        flow: str,
        topics: list[str],
        handle: Callable[[Connection, Rows], Awaitable[list[Out]]],
    ) -> None:
        consumer = AIOKafkaConsumer(
            *(PREFIX + topic for topic in topics),
            bootstrap_servers=BOOTSTRAP,
            group_id=f"{PREFIX}floor.{self.name}.{flow}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        stored: dict[TopicPartition, int] = {}
        while True:
            polled = await consumer.getmany(timeout_ms=20, max_records=BATCH)
            if not polled:
                continue
            records = [record for part in polled.values() for record in part]
            async with self.pool.acquire() as connection, connection.transaction():
                await self.move(connection, flow, polled, stored)
                out = await handle(connection, records)
                if out:
                    await self.outbox(connection, out)
            stored.update({place: part[-1].offset + 1 for place, part in polled.items()})
            if out:
                self.wake.set()

    async def move(
        self,
        connection: Connection,
        flow: str,
        polled: dict[TopicPartition, Rows],
        stored: dict[TopicPartition, int],
    ) -> None:
        order = sorted(polled)
        moved = await connection.fetch(
            """
            INSERT INTO position (flow, topic, partition, next_offset, appended_at)
            SELECT $1, w.topic, w.partition, w.next, w.at
            FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])
                AS w(topic, partition, was, next, at)
            ON CONFLICT (flow, topic, partition) DO UPDATE
                SET next_offset = excluded.next_offset, appended_at = excluded.appended_at
            RETURNING 1
            """,
            flow,
            [place.topic for place in order],
            [place.partition for place in order],
            [stored.get(place) for place in order],
            [polled[place][-1].offset + 1 for place in order],
            [polled[place][-1].timestamp for place in order],
        )
        assert len(moved) == len(order)
