"""Intake as processes on topics and in a database of their own, and what its books say."""

import asyncio
import base64
import hashlib
import json
import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.topics import PARTITIONS
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.common.security.callers import Role
from lastmetre.common.security.tokens import issue_token
from tests.support.admin_port import client_of
from tests.support.ports import free_port
from tests.support.raw_batch import send_raw_batch
from tests.support.topics import delete_topics, records_of

Headers = list[tuple[str, bytes | None]]
Value = TypeVar("Value")

WAIT_SECONDS: Final = 30.0
CHANNELS: Final = ("hotline", "app", "patrol")
NOBODY_THERE: Final = "postgresql://nobody@127.0.0.1:1/nothing"

# Each record of the channels below the position is in exactly one of these, by its place.
BOOKS: Final = """
    SELECT topic, partition, "offset", appended_at, outcome FROM report
    UNION ALL SELECT topic, partition, "offset", appended_at, outcome FROM later_record
    UNION ALL SELECT topic, partition, "offset", appended_at, 'dead' FROM dead_letter
        WHERE flow = 'channels' AND replayed_at IS NULL
"""


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def key_text() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def submitted(channel: str, sender: str = "partner") -> Headers:
    """What a partner's record says of itself."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", ReportSubmitted.TYPE.encode()),
        ("ce_source", f"/channels/{channel}/{sender}".encode()),
    ]


@dataclass
class Running:
    """An intake process."""

    process: asyncio.subprocess.Process
    base: str
    admin: str
    log: Path

    async def until_ready(self) -> None:
        """Wait until it says so; raises AssertionError with its log."""
        async with httpx.AsyncClient() as client:
            for _ in range(int(WAIT_SECONDS / 0.1)):
                assert self.process.returncode is None, self.log.read_text()
                try:
                    if (await client.get(f"{self.admin}/readyz?all")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise AssertionError(self.log.read_text())


class IntakeCity:
    """What a test does with intake."""

    def __init__(self, bootstrap: str, database_url: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.database_url = database_url
        self.prefix = f"t{secrets.token_hex(4)}."
        self.keys = {channel: secrets.token_hex(16) for channel in CHANNELS}
        self.service_keys = {name: secrets.token_hex(16) for name in ("notify", "dispatch")}
        self._folder = folder
        self._token_key = secrets.token_bytes(32)
        keys_file = folder / "channel-keys.json"
        keys_file.write_text(
            json.dumps(
                [
                    {
                        "channel": channel,
                        "sender": f"{channel}-desk",
                        "sha256": digest(key),
                        "history": True,
                    }
                    for channel, key in self.keys.items()
                ]
            )
        )
        categories = folder / "categories.csv"
        categories.write_text("code,name_zh,name_en\n06010,暴露垃圾,Exposed rubbish\n")
        self.environment: dict[str, str] = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "LASTMETRE_TOPIC_PREFIX": self.prefix,
            "INTAKE_DATABASE_URL": database_url,
            "INTAKE_SERVICE_KEY": secrets.token_hex(16),
            "INTAKE_VAULT_KEY": key_text(),
            "INTAKE_CHANNEL_KEYS_FILE": str(keys_file),
            "LASTMETRE_CATEGORIES_FILE": str(categories),
            "LASTMETRE_SERVICE_KEYS": json.dumps(
                {name: digest(key) for name, key in self.service_keys.items()}
            ),
            "LASTMETRE_TOKEN_KEY": base64.urlsafe_b64encode(self._token_key).decode(),
            "LASTMETRE_LINK_KEY": key_text(),
            "INTAKE_PUBLIC_URL": "http://intake",
            "DISPATCH_PUBLIC_URL": "http://dispatch",
            "NOTIFY_PUBLIC_URL": "http://notify",
            "METRICS_PUBLIC_URL": "http://metrics",
        }
        self._processes: list[asyncio.subprocess.Process] = []
        self._producer: AIOKafkaProducer | None = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator["IntakeCity"]:
        """Topics; at the end every process is stopped."""
        await apply_topics(self.bootstrap, self.prefix, development=True)
        self._producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, acks="all")
        await self._producer.start()
        try:
            yield self
        finally:
            for process in self._processes:
                if process.returncode is None:
                    process.terminate()
            await asyncio.gather(*(process.wait() for process in self._processes))
            await self._producer.stop()
            await delete_topics(self.bootstrap, self.prefix)

    async def start(self, *, until_ready: bool = True, **environment: str) -> Running:
        """An intake process."""
        port, admin_port = free_port(), free_port()
        log = self._folder / f"intake-{port}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lastmetre.intake",
                env=self.environment
                | {"INTAKE_HTTP_PORT": str(port), "INTAKE_ADMIN_PORT": str(admin_port)}
                | environment,
                stderr=output,
            )
        self._processes.append(process)
        base = "http://127.0.0.1:"
        running = Running(process, f"{base}{port}", f"{base}{admin_port}", log)
        if until_ready:
            await running.until_ready()
        return running

    def client(self, running: Running) -> httpx.AsyncClient:
        """Asks that process, as nobody in particular."""
        return client_of(running.base, running.admin, timeout=20)

    def key(self, channel: str) -> dict[str, str]:
        """The header that lets a channel in."""
        return {"X-API-Key": self.keys[channel]}

    def service(self, name: str) -> dict[str, str]:
        """The header that lets a service in."""
        return {"Authorization": f"Bearer {self.service_keys[name]}"}

    def administrator(self) -> dict[str, str]:
        """The header that lets an administrator in."""
        hour = timedelta(hours=1)
        token = issue_token(
            self._token_key, "admin", Role.ADMINISTRATOR, None, datetime.now(UTC), hour
        )
        return {"Authorization": f"Bearer {token}"}

    # --- Kafka --------------------------------------------------------------------------

    async def put(
        self, topic: str, value: bytes | None, headers: Headers, *, key: bytes = b"k", at: int = 0
    ) -> tuple[str, int, int]:
        """One record, as a partner sends it; returns its place."""
        assert self._producer
        sent = await self._producer.send_and_wait(
            self.prefix + topic, value, key, partition=at, headers=headers
        )
        return topic, at, sent.offset

    async def tell(self, topic: str, key: str, message: Message, *, at: int = 0) -> None:
        """One record of a service of ours."""
        headers: Headers = [("ce_type", message.TYPE.encode())]
        await self.put(topic, message.to_json(), headers, key=key.encode(), at=at)

    async def put_raw_batch(
        self, topic: str, records: Sequence[tuple[bytes, Headers]], replaced: tuple[bytes, bytes]
    ) -> None:
        """Records in one batch, some bytes of it replaced by as many others before it is sent."""
        assert self._producer
        await send_raw_batch(self._producer, self.prefix + topic, 0, records, replaced)

    async def bodies(self, topic: str) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Headers and JSON bodies of all records of a topic."""
        return [
            (
                {name: value.decode() for name, value in each.headers},
                json.loads(each.value or b"null"),
            )
            for each in await records_of(self.bootstrap, self.prefix + topic)
        ]

    async def earliest(self) -> dict[tuple[str, int], int]:
        """The first offset that each partition of the channels still has."""
        return await self._edges("beginning_offsets")

    async def _edges(self, which: str) -> dict[tuple[str, int], int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            places = [
                TopicPartition(f"{self.prefix}channels.{channel}", p)
                for channel in CHANNELS
                for p in range(PARTITIONS)
            ]
            found = await getattr(consumer, which)(places)
        finally:
            await consumer.stop()
        return {(tp.topic.removeprefix(self.prefix), tp.partition): at for tp, at in found.items()}

    # --- the books ----------------------------------------------------------------------

    @asynccontextmanager
    async def database(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.database() as connection:
            return await connection.fetch(sql, *arguments)

    async def value(self, sql: str, *arguments: Any) -> Any:
        async with self.database() as connection:
            return await connection.fetchval(sql, *arguments)

    async def until_read(self) -> Counter[str]:
        """Wait until intake has read all of the channels; the outcomes, each record once."""
        ends = {place: end for place, end in (await self._edges("end_offsets")).items() if end}

        async def behind() -> bool:
            rows = await self.fetch("SELECT * FROM position WHERE flow = 'channels'")
            stored = {(row["topic"], row["partition"]): row["next_offset"] for row in rows}
            return all(stored.get(place, 0) >= end for place, end in ends.items())

        await eventually(behind)
        rows = await self.fetch(BOOKS)
        places = Counter((row[0], row[1], row[2]) for row in rows)
        assert set(places) == {
            (topic, partition, offset)
            for (topic, partition), end in ends.items()
            for offset in range(end)
        }
        assert set(places.values()) == {1}
        return Counter(row["outcome"] for row in rows)


async def eventually(
    true: Callable[[], Awaitable[Value | None]], within: float = WAIT_SECONDS
) -> Value:
    """Wait until it is; returns what it said."""
    until = time.monotonic() + within
    while not (said := await true()):
        assert time.monotonic() < until, "it never became so"
        await asyncio.sleep(0.05)
    return said
