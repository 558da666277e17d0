"""Notify as processes on topics and in a database of their own, with a vault beside it."""

import asyncio
import base64
import hashlib
import json
import os
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg
import httpx
import uvicorn
from aiokafka import AIOKafkaProducer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import MessageDelivered
from lastmetre.common.contracts.topics import CASE_EVENTS, FEEDBACK, NOTIFY_DELIVERIES, PARTITIONS
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks, rating_identity
from lastmetre.common.security.tokens import issue_token
from tests.support.ports import free_port
from tests.support.topics import delete_topics, records_of

TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WAIT_SECONDS: Final = 60.0


@dataclass
class VaultStandIn:
    """Answers as intake's vault does, from a table; can be away."""

    service_key: str
    contacts: dict[str, dict[str, str]] = field(default_factory=dict)
    away: bool = False
    questions: int = 0
    asked: Counter[str] = field(default_factory=Counter)
    port: int = field(default_factory=free_port)

    async def answer(self, request: Request) -> Response:
        if request.headers["authorization"] != f"Bearer {self.service_key}":
            return Response(status_code=401)
        if self.away:
            return Response(status_code=503)
        body = await request.json()
        self.questions += 1
        self.asked.update([*body["report_ids"], *body["lead_ids"]])

        def known(ids: Iterable[str]) -> dict[str, dict[str, str]]:
            return {each: self.contacts[each] for each in ids if each in self.contacts}

        return JSONResponse(
            {"reports": known(body["report_ids"]), "leads": known(body["lead_ids"])}
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        app = Starlette(routes=[Route("/api/intake/v1/contacts", self.answer, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="error"))
        task = asyncio.create_task(server.serve())
        try:
            yield
        finally:
            server.should_exit = True
            await task


@dataclass(frozen=True)
class Before:
    """What was there when a test began."""

    asked: int = 0
    results: Counter[str] = field(default_factory=Counter)
    messages: frozenset[UUID] = frozenset()
    files: frozenset[Path] = frozenset()


class City:
    """What a test does with notify. `outbox` is the folder that stands in for SMS.

    What it counts and lists is what came since the last `begin`.
    """

    def __init__(self, bootstrap: str, database_url: str, folder: Path) -> None:
        self.bootstrap = bootstrap
        self.database_url = database_url
        self.prefix = f"t{secrets.token_hex(4)}."
        self.outbox = folder / "outbox"
        self._folder = folder
        self._key = secrets.token_hex(16)
        self.vault = VaultStandIn(self._key)
        self._token_key = secrets.token_bytes(32)
        link_key = secrets.token_bytes(32)
        self.links = SignedLinks(link_key)
        self.environment: dict[str, str] = {
            **os.environ,
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "LASTMETRE_TOPIC_PREFIX": self.prefix,
            "NOTIFY_DATABASE_URL": database_url,
            "NOTIFY_SERVICE_KEY": self._key,
            "NOTIFY_OUTBOX_DIRECTORY": str(self.outbox),
            "NOTIFY_RETRY_FIRST_SECONDS": "0.2",
            "NOTIFY_RETRY_LONGEST_SECONDS": "1",
            "INTAKE_INTERNAL_URL": f"http://127.0.0.1:{self.vault.port}",
            "LASTMETRE_SERVICE_KEYS": json.dumps(
                {"metrics": hashlib.sha256(b"metrics-key").hexdigest()}
            ),
            "LASTMETRE_TOKEN_KEY": base64.urlsafe_b64encode(self._token_key).decode(),
            "LASTMETRE_LINK_KEY": base64.urlsafe_b64encode(link_key).decode(),
            **{f"{s}_PUBLIC_URL": f"http://{s.lower()}" for s in ("INTAKE", "DISPATCH", "METRICS")},
            "NOTIFY_PUBLIC_URL": "http://notify",
        }
        self._processes: list[asyncio.subprocess.Process] = []
        self._producer: AIOKafkaProducer | None = None
        self._before = Before()

    async def begin(self) -> None:
        """From now on only what is new is looked at: several tests may share a process."""
        self._before = Before()
        self._before = Before(
            await self.asked(),
            await self.results(),
            frozenset([each.message_id for each in await self.deliveries()]),
            frozenset(self.files()),
        )
        self.vault.questions = 0
        self.vault.asked.clear()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["City"]:
        """Topics and vault; at the end every process is stopped."""
        await apply_topics(self.bootstrap, self.prefix, development=True)
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True, linger_ms=5
        )
        await self._producer.start()
        async with self.vault.listening():
            try:
                yield self
            finally:
                await self.stop()
                await self._producer.stop()
                await delete_topics(self.bootstrap, self.prefix)

    # --- processes ----------------------------------------------------------------------

    async def start(self, **environment: str) -> "Running":
        """A notify process, ready."""
        running = await self.launch(**environment)
        await running.until_ready()
        return running

    async def launch(self, **environment: str) -> "Running":
        """A notify process, without waiting for it."""
        port, admin_port = free_port(), free_port()
        log = self._folder / f"notify-{port}.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "lastmetre.notify",
                env=self.environment
                | {"NOTIFY_HTTP_PORT": str(port), "NOTIFY_ADMIN_PORT": str(admin_port)}
                | environment,
                stderr=output,
            )  # fmt: skip
        self._processes.append(process)
        base = "http://127.0.0.1:"
        return Running(process, f"{base}{port}", f"{base}{admin_port}", log)

    async def stop(self) -> None:
        """End every process, politely."""
        alive = [each for each in self._processes if each.returncode is None]
        for process in alive:
            process.terminate()
        for process in alive:
            await asyncio.wait_for(process.wait(), 30)
        self._processes.clear()

    def token(self, role: Role) -> str:
        """A signed token of a member of staff."""
        lead = "L001" if role is Role.LEAD else None
        return issue_token(
            self._token_key, "somebody", role, lead, datetime.now(UTC), timedelta(hours=1)
        )

    def rating_token(self, case_id: UUID, closing: int) -> str:
        """The secret in a rating link."""
        return self.links.seal(LinkPurpose.RATE, rating_identity(case_id, closing))

    # --- Kafka --------------------------------------------------------------------------

    async def tell(self, events: Sequence[CaseEvent]) -> None:
        """Put these into the ledger, in this order, as dispatch's relay does."""
        assert self._producer
        places = partitions_of([str(each.case_id).encode() for each in events], PARTITIONS)
        sent = []
        for partition, event in zip(places, events, strict=True):
            record = cloud_event(
                event, topic=CASE_EVENTS, key=str(event.case_id),
                event_id=f"{event.case_id}/{event.seq}", source="/dispatch",
                occurred_at=event.occurred_at, recorded_at=event.recorded_at, traceparent=TRACE,
            )  # fmt: skip
            sent.append(
                await self._producer.send(
                    self.prefix + CASE_EVENTS, record.value, record.key, partition,
                    headers=kafka_headers(record.headers),
                )
            )  # fmt: skip
        await asyncio.gather(*sent)

    async def deliveries(self) -> list[MessageDelivered]:
        """Everything that is on notify.deliveries now."""
        bodies = await self.bodies(NOTIFY_DELIVERIES, MessageDelivered.TYPE)
        found = [MessageDelivered.from_json(each) for each in bodies]
        return [each for each in found if each.message_id not in self._before.messages]

    async def feedback(self) -> list[dict[str, Any]]:
        """Everything that is on feedback now."""
        return [json.loads(value) for value in await self.bodies(FEEDBACK)]

    async def bodies(self, topic: str, kind: str | None = None) -> list[bytes]:
        """The bodies of all records of a topic, or of one type, each partition in order."""
        return [
            record.value or b""
            for record in await records_of(self.bootstrap, self.prefix + topic)
            if kind is None or dict(record.headers)["ce_type"] == kind.encode()
        ]

    # --- the database -------------------------------------------------------------------

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        connection = await asyncpg.connect(self.database_url)
        try:
            yield connection
        finally:
            await connection.close()

    async def value(self, statement: str, *arguments: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(statement, *arguments)

    async def until(self, statement: str, expected: Any, *, seconds: float = WAIT_SECONDS) -> None:
        """Wait until a look at the database gives what is expected."""
        found: Any = None
        async with self.connection() as connection:
            for _ in range(int(seconds / 0.05)):
                found = await connection.fetchval(statement)
                if found == expected:
                    return
                await asyncio.sleep(0.05)
        raise TimeoutError(f"{statement}: {found}, not {expected}")

    async def until_ended(self, messages: int) -> None:
        """Wait until so many messages are at their end."""
        before = self._before.results.total()
        await self.until("SELECT count(*) FROM message_done", before + messages)

    async def asked(self) -> int:
        """How many messages were asked for."""
        total: int = await self.value("SELECT coalesce(sum(asked), 0) FROM subject")
        return total - self._before.asked

    async def until_done(self, messages: int) -> None:
        """Wait until so many messages are at their end, none waits and all is relayed."""
        await self.until_ended(messages)
        await self.until("SELECT count(*) FROM message_waiting", 0)
        await self.until("SELECT count(*) FROM outbox", 0)

    async def results(self) -> Counter[str]:
        """How many messages came to which end."""
        async with self.connection() as connection:
            rows = await connection.fetch(
                "SELECT result, count(*) FROM message_done GROUP BY result"
            )
        return Counter({row[0]: row[1] for row in rows}) - self._before.results

    def files(self) -> list[Path]:
        """The messages in the outbox folder."""
        return sorted(set(self.outbox.rglob("*.txt")) - self._before.files)


@dataclass
class Running:
    """A notify process."""

    process: asyncio.subprocess.Process
    url: str
    admin: str
    log: Path

    async def until_ready(self) -> None:
        """Wait until all in it works."""
        await self._until_200("/readyz?all")

    async def until_it_answers(self) -> None:
        """Wait until it takes requests, whatever it says to them."""
        await self._until_200("/livez")

    async def _until_200(self, path: str) -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(int(WAIT_SECONDS / 0.1)):
                if self.process.returncode is not None:
                    raise RuntimeError(f"notify ended:\n{self.log.read_text()[-3000:]}")
                try:
                    if (await client.get(f"{self.admin}{path}")).status_code == 200:
                        return
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        raise TimeoutError(
            f"notify does not answer {path} with 200:\n{self.log.read_text()[-3000:]}"
        )

    async def kill(self) -> None:
        """`kill -9`."""
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    async def missing(self) -> list[str]:
        """What the process itself says does not work; empty if all does."""
        async with httpx.AsyncClient() as client:
            found: list[str] = (await client.get(f"{self.admin}/readyz?all")).json()["missing"]
            return found

    async def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        async with httpx.AsyncClient() as client:
            text = (await client.get(f"{self.admin}/metrics")).text
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in text.splitlines()
            if line.startswith(name) and line[len(name)] in " {"
        )
