"""A small made-up city's messages for metrics, and what plain Python counts in them."""

import asyncio
import base64
import json
import os
import random
import secrets
import socket
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Message, Origin
from lastmetre.common.contracts.cases import CaseEvent, LocalName, PublishedLead
from lastmetre.common.contracts.deliveries import DeliveryResult, MessageDelivered, Recipient
from lastmetre.common.contracts.network import REMOVED_IN_VERSION, AreaPublished
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    PARTITIONS,
    REPORTS,
)
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.topics import apply_topics
from lastmetre.common.security.callers import Role
from lastmetre.common.security.tokens import issue_token
from lastmetre.common.service.ids import IdGenerator
from tests.support.topics import delete_topics

FIRST: Final = datetime(2026, 11, 20, 10, tzinfo=UTC)
AREAS: Final = ("A01", "A02", "A03", "A04")
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WAIT_SECONDS: Final = 60.0


@dataclass(slots=True)
class Scenario:
    """What happens to one case, in plain values: minutes after the report, None is never."""

    case_id: UUID
    report_id: UUID
    number: str
    channel: Channel
    origin: Origin
    category: str
    reported_at: datetime
    area: str | None
    accepted: float | None = None
    arrived: float | None = None
    resolved: float | None = None
    closed: float | None = None
    cancelled: str | None = None
    returned: bool = False
    reopened: bool = False
    score: int | None = None
    events: list[CaseEvent] = field(default_factory=list)

    @property
    def response(self) -> float | None:
        """Seconds from report to closing, where that is a response time."""
        if self.closed is None or self.closed < 0 or self.on_spot:
            return None
        return self.closed * 60

    @property
    def on_spot(self) -> bool:
        """Found and fixed in one."""
        return self.channel is Channel.PATROL and self.resolved == 0


class Teller:
    """Numbers a case's events as dispatch does."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.seq = 0

    def event(self, kind: type[CaseEvent], minutes: float, **more: Any) -> CaseEvent:
        """The case's next event."""
        self.seq += 1
        at = self._scenario.reported_at + timedelta(minutes=minutes)
        common = {"case_id": self._scenario.case_id, "seq": self.seq, "occurred_at": at,
                  "recorded_at": at, "actor": SYSTEM}  # fmt: skip
        return kind.model_validate(common | more)

    def place(self, minutes: float, matched_by: str) -> CaseEvent:
        """To the area's lead, or into the queue."""
        area = self._scenario.area
        if area is None:
            return self.event(cases.CaseUnplaced, minutes, reason="no_position")
        return self.event(cases.CaseDispatched, minutes, area_id=area, lead=_lead(area),
                          matched_by=matched_by, network_version=1)  # fmt: skip

    def closing(self, resolved: float, closed: float) -> Iterable[CaseEvent]:
        """Resolved, verified, closed."""
        yield self.event(cases.CaseResolved, resolved)
        yield self.event(cases.CaseVerified, closed)
        yield self.event(cases.CaseClosed, closed)


class World:
    """Scenarios and their messages, from a seed."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)
        self.identities = IdGenerator(self.random)
        self.scenarios = [self._scenario(n) for n in range(size)]

    def _scenario(self, n: int) -> Scenario:
        choose = self.random
        reported = FIRST + timedelta(minutes=choose.uniform(0, 3 * 24 * 60))
        reported = reported.replace(microsecond=0)
        scenario = Scenario(
            case_id=self.identities.uuid7(reported),
            report_id=self.identities.uuid7(reported),
            number=f"261120-{n:04}",
            channel=choose.choice(list(Channel)),
            origin=choose.choice(list(Origin)),
            category=choose.choice(["06010", "06028", "09009"]),
            reported_at=reported,
            area=choose.choice([*AREAS, None]),
        )
        self._fate(scenario)
        scenario.events = list(self._events(scenario))
        return scenario

    def _fate(self, scenario: Scenario) -> None:
        choose = self.random
        fate = choose.random()
        if fate < 0.1:
            scenario.cancelled = choose.choice(["Referred Out", "duplicate"])
        elif fate < 0.15:
            scenario.resolved = scenario.closed = -choose.randint(1, 60)
        elif fate < 0.25:
            scenario.resolved = scenario.closed = 0
        elif fate < 0.85:
            scenario.accepted = choose.randint(1, 30) if scenario.area else None
            scenario.arrived = 40 if scenario.accepted and choose.random() < 0.5 else None
            scenario.resolved = choose.randint(50, 500)
            scenario.closed = scenario.resolved + choose.randint(0, 60)
            scenario.returned = bool(scenario.area) and choose.random() < 0.1
            scenario.reopened = choose.random() < 0.1
            scenario.score = choose.choice([None, 1, 3, 4, 5])

    def _events(self, scenario: Scenario) -> Iterable[CaseEvent]:
        tell = Teller(scenario)
        yield tell.event(
            cases.CaseRegistered, 0, number=scenario.number, report_id=scenario.report_id,
            channel=scenario.channel, origin=scenario.origin, category=scenario.category,
            reported_at=scenario.reported_at, reporter_reachable=True, language=Language.CHINESE,
        )  # fmt: skip
        yield tell.place(0, "position")
        if scenario.returned:
            yield tell.event(cases.CaseReturned, 0, lead_id="L0", reason="not_found")
            yield tell.event(cases.CaseUnplaced, 0, reason="returned")
            yield tell.place(0, "operator")
        if scenario.cancelled:
            yield tell.event(cases.CaseCancelled, 5, reason=scenario.cancelled)
        if scenario.accepted is not None:
            yield tell.event(cases.CaseAccepted, scenario.accepted)
        if scenario.arrived is not None:
            yield tell.event(cases.CaseArrived, scenario.arrived)
        if scenario.reopened:
            yield from tell.closing(45, 45)
            yield tell.event(cases.CaseReopened, 46, closing=tell.seq)
            yield tell.place(46, "reopened")
        if scenario.resolved is not None and scenario.closed is not None:
            yield from tell.closing(scenario.resolved, scenario.closed)
        if scenario.score:
            yield tell.event(cases.CaseRated, 999, closing=tell.seq, feedback_id=UUID(int=1),
                             solved=scenario.score > 2, score=scenario.score)  # fmt: skip

    def ledger(self) -> list[tuple[str, str, Message]]:
        """All case events, cases mixed, each case's own order kept."""
        waiting = {n: list(reversed(each.events)) for n, each in enumerate(self.scenarios)}
        mixed: list[tuple[str, str, Message]] = []
        while waiting:
            n = self.random.choice(list(waiting))
            event = waiting[n].pop()
            mixed.append((CASE_EVENTS, str(event.case_id), event))
            if not waiting[n]:
                del waiting[n]
        return mixed

    def reports(self, rejected: int) -> list[tuple[str, str, Message]]:
        """The accepted report of each case, and some that were rejected."""
        messages: list[tuple[str, str, Message]] = []
        for each in self.scenarios:
            accepted = ReportAccepted(
                report_id=each.report_id, channel=each.channel, origin=each.origin,
                category=each.category, reported_at=each.reported_at,
                received_at=each.reported_at, reporter_reachable=True, language=Language.CHINESE,
            )  # fmt: skip
            messages.append((REPORTS, str(each.report_id), accepted))
        for _ in range(rejected):
            report_id = self.identities.uuid7(FIRST)
            refused = ReportRejected(
                report_id=report_id, channel=Channel.APP, origin=Origin.LIVE, reported_at=FIRST,
                received_at=FIRST, reasons=("says_nothing", "position_is_null_island"),
            )  # fmt: skip
            messages.append((REPORTS, str(report_id), refused))
        return messages

    def deliveries(self) -> list[tuple[str, str, Message]]:
        """A message to the lead of each placed case, one in ten failed."""
        found: list[tuple[str, str, Message]] = []
        for n, each in enumerate(self.scenarios):
            message = MessageDelivered(
                case_id=each.case_id, message_id=self.identities.uuid7(each.reported_at), seq=2,
                recipient=Recipient.LEAD, provider="folder", occurred_at=each.reported_at,
                result=DeliveryResult.SENT if n % 10 else DeliveryResult.FAILED,
            )  # fmt: skip
            if each.area:
                found.append((NOTIFY_DELIVERIES, str(each.case_id), message))
        return found


def network(version: int = 1) -> list[tuple[str, str, Message]]:
    """Four square areas in a row."""
    published: list[tuple[str, str, Message]] = []
    for n, area_id in enumerate(AREAS):
        west = 120 + n * 0.01
        corners = [(west, 30), (west + 0.01, 30), (west + 0.01, 30.02), (west, 30.02), (west, 30)]
        area = AreaPublished(
            area_id=area_id, name=LocalName(zh=f"片区{n + 1}", en=f"Area {n + 1}"),
            outline={"type": "Polygon", "coordinates": [corners]}, lead=_lead(area_id),
            network_version=version,
        )  # fmt: skip
        published.append((NETWORK_AREAS, area_id, area))
    return published


def _lead(area_id: str) -> PublishedLead:
    return PublishedLead(
        lead_id=f"L{area_id}",
        name=LocalName(zh=f"王{area_id}", en=f"Wang {area_id}"),
        post=LocalName(zh="片长", en="Area lead"),
    )


class Metrics:
    """Metrics as processes, on topics and in a database of their own."""

    def __init__(self, bootstrap: str, database_url: str) -> None:
        self.bootstrap = bootstrap
        self.database_url = database_url
        self.prefix = f"t{secrets.token_hex(4)}."
        self._token_key = secrets.token_urlsafe(32)
        self.port = _free_port()
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
            environment["METRICS_HTTP_PORT"] = str(_free_port())
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
        key = _key_bytes(self._token_key)
        lead = "L01" if role is Role.LEAD else None
        token = issue_token(key, "somebody", role, lead, datetime.now(UTC), timedelta(hours=1))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}",
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
            sys.executable, "-m", "lastmetre.metrics.rebuild", "--json", *arguments,
            env=self.environment, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 120)
        return process.returncode or 0, json.loads(out) if out else {}


def _key_bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
