"""The same driver for platform and floor: reports in, leads' actions on what is dispatched.

    python -m tests.bench.driver

Reads how many lifecycles to drive from its stdin, a number a line, and answers each with a line of
JSON: when it began (monotonic) and the CPU seconds of this process until the last closing and the
last message were on their topics. Records go straight onto the topics, as a partner's would.
"""

import asyncio
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from lastmetre.common.kafka.partitioner import partitions_of

PREFIX = os.environ.get("LASTMETRE_TOPIC_PREFIX", "")
CASE_EVENTS = PREFIX + "case.events"
DELIVERIES = PREFIX + "notify.deliveries"
PARTITIONS = 12
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MESSAGES_A_CASE = 4  # the reporter three times, the lead once
IN_FLIGHT = 10_000  # enough that no stage waits for work: batches are as large as they get
CHUNK = 500
FETCH_BYTES = 1 << 18
FETCH_MILLISECONDS = 200

Pair = tuple[bytes, bytes]
_REPORT = json.dumps(
    {
        "source_id": "%b",
        "reported_at": "%b",
        "category": "matter:06010",
        "text": "垃圾桶满了，旁边堆着好几袋，已经两天没有人来收，味道很大。",
        "address": "滨江路 128 号门前",
        "position": {"latitude": 0.5, "longitude": 0.5},
        "contact": {"name": "陈先生", "phone": "13800138000"},
    }
).encode()
_ACTION = json.dumps(
    {
        "case_id": "%b",
        "action_id": "%b",
        "action": "%b",
        "actor": {"role": "lead", "id": "L01"},
        "occurred_at": "%b",
    }
).encode()


def report_body(source_id: str, reported_at: str) -> bytes:
    """A report as a hotline sends it, JSON."""
    return _REPORT % (source_id.encode(), reported_at.encode())


class Driver:
    """Keeps a bounded number of cases under way until `count` of them are through."""

    reads: tuple[str, ...] = (CASE_EVENTS,)

    def __init__(self, count: int) -> None:
        self.count = count
        self.run = os.urandom(4).hex()
        self.sent = self.closed = 0
        self.room = asyncio.Event()
        self.through = asyncio.Event()

    async def drive(self) -> dict[str, float]:
        """Drive them all through."""
        consumer = await self.join()
        started, cpu = time.monotonic(), time.process_time()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self.watch(consumer))
            await self.feed()
            await self.through.wait()
            watching.cancel()
        cpu = time.process_time() - cpu
        await consumer.stop()
        await self.producer.stop()
        return {"lifecycles": self.count, "started": started, "cpu_seconds": cpu}

    async def join(self) -> AIOKafkaConsumer:
        """Connect; the consumer begins behind what is on the topics now."""
        bootstrap = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
        self.producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap,
            enable_idempotence=True,
            max_batch_size=1 << 20,
            max_request_size=3 << 20,
        )
        consumer = AIOKafkaConsumer(
            *self.reads,
            bootstrap_servers=bootstrap,
            auto_offset_reset="latest",
            # Not woken for each record: the driver's own share is to be small.
            fetch_min_bytes=FETCH_BYTES,
            fetch_max_wait_ms=FETCH_MILLISECONDS,
        )
        await self.producer.start()
        await consumer.start()
        await consumer.seek_to_end()
        self.messages_before = await self.messages_on_topic(consumer)
        return consumer

    async def messages_on_topic(self, consumer: AIOKafkaConsumer) -> int:
        """How many ends of messages there are: by offsets, nothing else of them matters here."""
        places = [TopicPartition(DELIVERIES, number) for number in range(PARTITIONS)]
        return sum((await consumer.end_offsets(places)).values())

    async def feed(self) -> None:
        """Report as fast as cases are closed."""
        while self.sent < self.count:
            await self.report(min(CHUNK, self.count - self.sent))
            while self.sent - self.closed > IN_FLIGHT:
                self.room.clear()
                await self.room.wait()

    async def report(self, count: int) -> None:
        now = datetime.now(UTC).isoformat()
        records: list[Pair] = []
        for index in range(self.sent, self.sent + count):
            source_id = f"bench-{self.run}-{index}"
            records.append((source_id.encode(), report_body(source_id, now)))
        self.sent += count
        kind, source = "lastmetre.report.submitted.v1", "/channels/hotline/bench"
        await self.send("channels.hotline", records, kind, source)

    async def send(self, topic: str, records: list[Pair], kind: str, source: str) -> None:
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_type", kind.encode()),
            ("ce_source", source.encode()),
            ("traceparent", TRACE.encode()),
        ]
        groups: dict[int, list[Pair]] = defaultdict(list)
        places = partitions_of([key for key, _ in records], PARTITIONS)
        for record, partition in zip(records, places, strict=True):
            groups[partition].append(record)
        futures = []
        for partition, group in groups.items():
            batch = self.producer.create_batch()
            for key, value in group:
                one = [*headers, ("ce_id", key)]
                batch.append(key=key, value=value, timestamp=None, headers=one)
            futures.append(
                await self.producer.send_batch(batch, PREFIX + topic, partition=partition)
            )
        await asyncio.gather(*futures)

    async def watch(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            polled = await consumer.getmany(timeout_ms=50, max_records=2000)
            actions: list[Pair] = []
            now = datetime.now(UTC).isoformat().encode()
            for place, records in polled.items():
                if place.topic == DELIVERIES:
                    self.told(records)
                    continue
                for record in records:
                    kind = next(value for name, value in record.headers if name == "ce_type")
                    if kind == b"lastmetre.case.dispatched.v1":
                        actions += self.actions(record.key or b"", now)
                    elif kind == b"lastmetre.case.closed.v1":
                        self.closed += 1
            if actions:
                await self.send("field.actions", actions, "lastmetre.action.requested.v1", "/bench")
            self.room.set()
            if self.closed >= self.count:
                messages = await self.messages_on_topic(consumer) - self.messages_before
                if messages >= self.count * MESSAGES_A_CASE:
                    self.through.set()

    def told(self, deliveries: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """Messages have come to their end."""

    def actions(self, case_id: bytes, now: bytes) -> list[Pair]:
        return [
            (case_id, _ACTION % (case_id, case_id[:-4] + number + case_id[-3:], action, now))
            for number, action in ((b"a", b"accept"), (b"b", b"resolve"))
        ]


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(uvloop.run(Driver(int(line)).drive())), flush=True)
