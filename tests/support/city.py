"""A driver for a running stack: reports in, leads and residents acting, waiting until it is so."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import asyncpg
import httpx
from aiokafka import AIOKafkaProducer

from lastmetre.common.contracts.base import ActorRole, CaseMessage
from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven
from lastmetre.common.contracts.topics import FEEDBACK, FIELD_ACTIONS, PARTITIONS
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.security.tokens import issue_token
from lastmetre.common.service.ids import IdGenerator
from tests.support.admin_port import is_internal

Found = TypeVar("Found")

WAIT_SECONDS: Final = 30.0
LOOK_EVERY_SECONDS: Final = 0.05
TERMINALS: Final = "/tests/terminals"
"""A system that nobody has named: it speaks for leads."""
CENTRE: Final = "/lastmetre/replay"
"""Named in a stack's `field-systems.json`: it speaks for operators, too."""
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def square(area_id: str, column: int, lead_id: str | None) -> dict[str, Any]:
    """An area one degree wide, `column` degrees east of Greenwich, just north of the equator."""
    corners = [(column, 0), (column + 1, 0), (column + 1, 1), (column, 1), (column, 0)]
    lead = lead_id and {
        "lead_id": lead_id,
        "name": {"zh": f"王{lead_id}", "en": f"Wang {lead_id}"},
        "post": {"zh": "片长", "en": "Area lead"},
    }
    return {
        "area_id": area_id,
        "name": {"zh": f"片区{area_id}", "en": f"Area {area_id}"},
        "outline": {"type": "Polygon", "coordinates": [corners]},
        "lead": lead or None,
    }


AREAS: Final = [
    square("A0", 0, "L0"),
    square("A1", 1, "L1"),
    square("A2", 2, "L2"),
    square("A3", 3, None),
]


def inside(column: int) -> dict[str, float]:
    """A point in the middle of a square."""
    return {"latitude": 0.5, "longitude": column + 0.5}


class City:
    """Talks to the services of one stack, as `endpoints.json` describes it."""

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        self.endpoints = endpoints
        self.prefix: str = endpoints["topic_prefix"]
        self.http = httpx.AsyncClient(timeout=30)
        self.identities = IdGenerator()
        self.links = SignedLinks(key_bytes(endpoints["link_key"]))
        self._producer: AIOKafkaProducer | None = None
        self._databases: dict[str, asyncpg.Connection[asyncpg.Record]] = {}

    async def __aenter__(self) -> "City":
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.endpoints["KAFKA_BOOTSTRAP_SERVERS"], acks="all"
        )
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._producer:
            await self._producer.stop()
        for connection in self._databases.values():
            await connection.close(timeout=5)
        await self.http.aclose()

    # --- asking -------------------------------------------------------------------------

    def url(self, service: str, path: str) -> str:
        """Where a service answers that path."""
        return f"{self.base(service, path)}{path}"

    def base(self, service: str, path: str) -> str:
        """The port that answers that path: the admin port, if it is internal."""
        endpoints = self.endpoints
        admin: str = endpoints["admin"][service][0]
        public: str = endpoints["services"][service]
        return admin if is_internal(path) else public

    def bearer(self, role: Role, lead_id: str | None = None) -> dict[str, str]:
        """The headers of a member of staff."""
        token = issue_token(
            key_bytes(self.endpoints["token_key"]),
            lead_id or f"{role.value}.1",
            role,
            lead_id,
            datetime.now(UTC),
            timedelta(hours=1),
        )
        return {"Authorization": f"Bearer {token}"}

    async def database(self, service: str) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection as the owner of that service's database."""
        connection = self._databases.get(service)
        if connection is None or connection.is_closed():
            connection = await asyncpg.connect(self.endpoints["databases"][service])
            self._databases[service] = connection
        return connection

    async def until(
        self, look: Callable[[], Awaitable[Found | None]], what: str, seconds: float = WAIT_SECONDS
    ) -> Found:
        """What `look` finds, as soon as it finds something true."""
        deadline = time.monotonic() + seconds
        while True:
            found = await look()
            if found:
                return found
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} s there is still no {what}")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    # --- the network and reports --------------------------------------------------------

    async def import_network(self, areas: Sequence[Mapping[str, Any]] = AREAS) -> None:
        """Make these the network."""
        response = await self.http.put(
            self.url("dispatch", "/network"),
            json={"areas": list(areas)},
            headers=self.bearer(Role.ADMINISTRATOR),
        )
        response.raise_for_status()

    async def post(self, channel: str, body: Any, **options: Any) -> httpx.Response:
        """Send a report, or several, through the API."""
        return await self.http.post(
            self.url("intake", f"/channels/{channel}/reports"),
            json=body,
            headers={"X-API-Key": self.endpoints["channel_keys"][channel]},
            **options,
        )

    async def report(self, source_id: str, channel: str = "app", **fields: Any) -> str:
        """Send one report about a thing in the first square; returns its receipt."""
        body = {"text": "路灯不亮", "position": inside(0), **fields, "source_id": source_id}
        response = await self.post(channel, body)
        response.raise_for_status()
        receipt: str = response.json()["receipt"]
        return receipt

    async def case_of(self, receipt: str) -> UUID:
        """The case that a report became."""
        identity = self.links.open(LinkPurpose.RECEIPT, receipt)
        intake, dispatch = await self.database("intake"), await self.database("dispatch")

        async def look() -> UUID | None:
            report_id = await intake.fetchval(
                "SELECT report_id FROM report WHERE identity = $1", identity
            )
            case_id: UUID | None = await dispatch.fetchval(
                'SELECT case_id FROM "case" WHERE report_id = $1', report_id
            )
            return case_id

        return await self.until(look, "case")

    async def new_case(self, source_id: str, **fields: Any) -> UUID:
        """Report, and wait until it is a case."""
        return await self.case_of(await self.report(source_id, **fields))

    # --- cases --------------------------------------------------------------------------

    async def act(
        self, case_id: UUID, action: str, role: Role = Role.LEAD, lead_id: str = "L0", **more: Any
    ) -> httpx.Response:
        """Ask for a step by HTTP."""
        return await self.http.post(
            self.url("dispatch", f"/api/dispatch/v1/cases/{case_id}/actions"),
            json={"action": action, **more},
            headers=self.bearer(role, lead_id if role is Role.LEAD else None),
        )

    async def ask(self, *requests: ActionRequested | FeedbackGiven) -> None:
        """Put requests onto their topics, in this order."""
        for request in requests:
            topic = FIELD_ACTIONS if isinstance(request, ActionRequested) else FEEDBACK
            of_lead = isinstance(request, FeedbackGiven) or request.actor.role is ActorRole.LEAD
            await self.tell(topic, request, TERMINALS if of_lead else CENTRE)

    async def tell(self, topic: str, message: CaseMessage, source: str = TERMINALS) -> None:
        """Put a message of our own kinds onto a topic."""
        now = datetime.now(UTC)
        record = cloud_event(
            message,
            topic=topic,
            key=str(message.case_id),
            event_id=str(self.identities.uuid7(now)),
            source=source,
            occurred_at=now,
            recorded_at=now,
            traceparent=TRACE,
        )
        await self.produce(topic, record.key, record.value, kafka_headers(record.headers))

    async def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes | None]],
        partition: int | None = None,
    ) -> tuple[int, int]:
        """Write one record as a partner would; returns its partition and offset."""
        assert self._producer is not None
        if partition is None and key is not None:
            partition = partitions_of([key], PARTITIONS)[0]
        written: Any = await self._producer.send_and_wait(
            self.prefix + topic, value, key=key, partition=partition, headers=list(headers)
        )
        return written.partition, written.offset

    async def state(self, case_id: UUID) -> tuple[int, str]:
        """The last seq and the state of a case in dispatch."""
        dispatch = await self.database("dispatch")
        row = await dispatch.fetchrow('SELECT seq, state FROM "case" WHERE case_id = $1', case_id)
        return (row["seq"], row["state"]) if row else (0, "")

    async def ledger(self, case_id: UUID) -> list[str]:
        """The short names of a case's events."""
        dispatch = await self.database("dispatch")
        rows = await dispatch.fetch(
            "SELECT type FROM ledger WHERE case_id = $1 ORDER BY seq", case_id
        )
        return [row["type"].split(".")[2] for row in rows]

    async def indicators(self, **asked: str) -> dict[str, Any]:
        """The figures, as a supervisor asks for them."""
        answer = await self.http.get(
            self.url("metrics", "/indicators"),
            params=asked,
            headers=self.bearer(Role.SUPERVISOR),
        )
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document

    def _rating_token(self, case_id: UUID, closing: int) -> str:
        return self.links.seal(LinkPurpose.RATE, case_id.bytes + closing.to_bytes(4, "big"))

    async def rate_by_form(self, case_id: UUID, closing: int) -> httpx.Response:
        """Rate a closing as solved with four stars, by the page of the secret link."""
        url = self.url("notify", f"/rate/{self._rating_token(case_id, closing)}")
        return await self.http.post(url, data={"solved": "yes", "score": "4"})

    async def rate(self, case_id: UUID, closing: int, **verdict: Any) -> httpx.Response:
        """Rate a closing as the reporter, by the secret link."""
        token = self._rating_token(case_id, closing)
        return await self.http.post(
            self.url("notify", f"/api/notify/v1/ratings/{token}"),
            json={"solved": True, "score": 5, "reopen": False, **verdict},
        )


def key_bytes(text: str) -> bytes:
    """A key of `endpoints.json` as it is used."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
