"""Metrics as processes on topics and in a database of their own."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.network import REMOVED_IN_VERSION
from lastmetre.common.contracts.topics import NETWORK_AREAS, PARTITIONS
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.common.security.callers import Role
from lastmetre.common.security.tokens import issue_token
from tests.integration.metrics_world import FIRST
from tests.support.admin_port import client_of
from tests.support.city import key_bytes
from tests.support.ports import free_port
from tests.support.topics import delete_topics

TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WAIT_SECONDS: Final = 60.0


class Metrics:
    """Metrics as processes, on topics and in a database of their own."""

    def __init__(self, bootstrap: str, database_url: str) -> None:
        self.bootstrap = bootstrap
        self.database_url = database_url
        self.prefix = f"t{secrets.token_hex(4)}."
        self._token_key = secrets.token_urlsafe(32)
        self.port, self.admin_port = free_port(), free_port()
        self._processes: list[asyncio.subprocess.Process] = []
        self._producer: AIOKafkaProducer | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the service reads."""
        base = f"http://127.0.0.1:{self.port}"
        return {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "LASTMETRE_TOPIC_PREFIX": self.prefix,
            "METRICS_DATABASE_URL": self.database_url,
            "METRICS_HTTP_PORT": str(self.port),
            "METRICS_ADMIN_PORT": str(self.admin_port),
            "METRICS_SERVICE_KEY": "unused-here",
            "LASTMETRE_TOKEN_KEY": self._token_key,
            "LASTMETRE_LINK_KEY": secrets.token_urlsafe(32),
            "LASTMETRE_CITY_TIME_ZONE": "Asia/Shanghai",
            **{f"{name}_PUBLIC_URL": base for name in ("INTAKE", "DISPATCH", "NOTIFY", "METRICS")},
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await delete_topics(self.bootstrap, self.prefix)

    async def start(self, *, more: bool = False) -> asyncio.subprocess.Process:
        """A process; the first one makes the topics and is waited for. `more`: another one."""
        environment = self.environment
        if more:
            environment["METRICS_HTTP_PORT"] = str(free_port())
            environment["METRICS_ADMIN_PORT"] = str(free_port())
        else:
            await apply_topics(self.bootstrap, self.prefix, development=True)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lastmetre.metrics", env=environment
        )
        self._processes.append(process)
        if not more:
            await self._until_ready()
        return process

    async def _until_ready(self) -> None:
        async with self.client(Role.SUPERVISOR) as client:
            for _ in range(int(WAIT_SECONDS / 0.1)):
                try:
                    if (await client.get("/readyz?all")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise TimeoutError("metrics does not become ready")

    async def stop(self) -> None:
        """End every process, politely."""
        if self._producer:
            await self._producer.stop()
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        for process in self._processes:
            await asyncio.wait_for(process.wait(), 30)

    @asynccontextmanager
    async def client(self, role: Role) -> AsyncIterator[httpx.AsyncClient]:
        """A client with the token of a member of staff."""
        key = key_bytes(self._token_key)
        lead = "L01" if role is Role.LEAD else None
        token = issue_token(key, "somebody", role, lead, datetime.now(UTC), timedelta(hours=1))
        async with client_of(
            f"http://127.0.0.1:{self.port}",
            f"http://127.0.0.1:{self.admin_port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=30,
        ) as client:
            yield client

    async def send(self, messages: Sequence[tuple[str, str, Message]]) -> None:
        """Produce messages in this order, as the other services' relays do."""
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True,
                linger_ms=5,
            )  # fmt: skip
            await self._producer.start()
        places = partitions_of([key.encode() for _, key, _ in messages], PARTITIONS)
        sent = []
        for n, (topic, key, message) in enumerate(messages):
            record = cloud_event(
                message, topic=topic, key=key, event_id=str(n), source="test",
                occurred_at=FIRST, recorded_at=FIRST, traceparent=TRACE,
            )  # fmt: skip
            sent.append(
                await self._producer.send(
                    self.prefix + topic, record.value, record.key, places[n],
                    headers=kafka_headers(record.headers),
                )
            )  # fmt: skip
        await asyncio.gather(*sent)

    async def send_raw(self, topic: str, key: str, kind: str, body: bytes) -> None:
        """A record of that type with whatever body."""
        assert self._producer is not None
        [partition] = partitions_of([key.encode()], PARTITIONS)
        await self._producer.send_and_wait(
            self.prefix + topic, body, key.encode(), partition, headers=[("ce_type", kind.encode())]
        )

    async def remove_area(self, area_id: str, version: int) -> None:
        """What dispatch sends when an area is no longer published: a record without a body."""
        assert self._producer is not None
        [partition] = partitions_of([area_id.encode()], PARTITIONS)
        await self._producer.send_and_wait(
            self.prefix + NETWORK_AREAS, None, area_id.encode(), partition,
            headers=[(REMOVED_IN_VERSION, str(version).encode())],
        )  # fmt: skip

    async def settled(self, statement: str, expected: Any) -> None:
        """Wait until a look at the database gives what is expected."""
        connection = await asyncpg.connect(self.database_url)
        found: Any = None
        try:
            for _ in range(int(WAIT_SECONDS / 0.1)):
                found = await connection.fetchval(statement)
                if found == expected:
                    return
                await asyncio.sleep(0.1)
        finally:
            await connection.close()
        raise TimeoutError(f"{statement}: {found}, not {expected}")

    async def rebuild(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run `python -m metrics.rebuild --json`: exit code and document."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lastmetre.metrics.entrypoints.rebuild", "--json", *arguments,
            env=self.environment, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 120)
        return process.returncode or 0, json.loads(out) if out else {}
