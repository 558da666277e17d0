"""How the city's people do things: by HTTP, and where they are partners, straight to Kafka."""

import asyncio
import base64
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, Self
from uuid import UUID, uuid5

import httpx
from aiokafka import AIOKafkaProducer

from lastmetre.cli.client import PATIENCE_SECONDS, START_IT, Refused, development_token
from lastmetre.cli.console import Trouble
from lastmetre.cli.endpoints import Endpoints
from lastmetre.common.contracts.base import Actor, ActorRole, Channel, Message
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.requests import Action, ActionRequested
from lastmetre.common.contracts.topics import FIELD_ACTIONS, channel_topic
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.codec import cloud_event, instant, kafka_headers
from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.service.clock import Clock
from lastmetre.devstack.demo.case_tracker import TrackedCase, traceparent_of
from lastmetre.devstack.demo.scenario import PlannedRating, PlannedReport, PlannedStep

AT_ONCE: Final = 24
RETRY_SECONDS: Final = 0.5
TOKEN_LIFETIME: Final = timedelta(hours=1)
_ACTIONS: Final = UUID("0d3c6f4e-52b1-5e0a-9c77-6a1b8e2f9d04")
_BY_OPERATOR: Final = frozenset({Action.PLACE, Action.CANCEL})
_SEEN_NEEDED: Final = _BY_OPERATOR | {Action.RETURN}
PARTNERS: Final[dict[Channel, dict[str, str]]] = {
    Channel.HOTLINE: {"director-mailbox": "mailboxes", "mayor-mailbox": "mailboxes"},
    Channel.APP: {"service-code": "service-codes"},
    Channel.PATROL: {"grid-worker": "grid-terminals", "drone": "drone-fleet"},
}
"""Sub-channels whose systems write to the channel's topic themselves, and as which sender."""


def partner_of(report: PlannedReport) -> str | None:
    """Who writes this report to the topic; None if it comes over the API."""
    return PARTNERS[report.channel].get(report.sub_channel)


def uses_terminal(lead_id: str) -> bool:
    """Two leads of five act through a terminal on `field.actions`, the others by HTTP."""
    return zlib.crc32(lead_id.encode()) % 5 < 2


class Actors:
    """Acts for everybody in the city. What fails for a moment is done again: all is repeatable."""

    def __init__(self, endpoints: Endpoints, producer: AIOKafkaProducer, clock: Clock) -> None:
        self._endpoints = endpoints
        self._producer = producer
        self._clock = clock
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._links = SignedLinks(base64.urlsafe_b64decode(endpoints.link_key + "=="))
        self._token = cache(self._new_token)

    @classmethod
    @asynccontextmanager
    async def ready(
        cls, endpoints: Endpoints, access: KafkaAccess, clock: Clock
    ) -> AsyncIterator[Self]:
        """With connections of their own."""
        producer = clients.producer(access, "lastmetre-demo")
        await producer.start()
        actors = cls(endpoints, producer, clock)
        try:
            yield actors
        finally:
            await actors._http.aclose()
            await producer.stop()

    async def report(self, report: PlannedReport) -> None:
        """Send a report through its channel."""
        message = ReportSubmitted(
            source_id=report.source_id,
            reported_at=report.reported_at,
            sub_channel=report.sub_channel,
            category=report.category,
            text=report.text,
            address=report.address,
            position=report.position,
            contact=report.contact,
        )
        trace = traceparent_of(report.source_id)
        if partner := partner_of(report):
            topic, source = channel_topic(report.channel), f"/channels/{report.channel}/{partner}"
            await self._produce(
                message, topic, report.source_id, report.source_id, source, report.reported_at,
                trace,
            )  # fmt: skip
        else:
            await self._post(
                "intake",
                f"/channels/{report.channel}/reports",
                {"X-API-Key": self._endpoints.channel_keys[report.channel], "traceparent": trace},
                message.model_dump(mode="json", exclude_none=True),
            )

    async def act(self, case: TrackedCase, step: PlannedStep, occurred_at: datetime) -> bool:
        """Do the next planned step; False if it is not allowed any more."""
        action_id = uuid5(_ACTIONS, f"{case.case_id}/{case.seq}")
        seen = case.seq if step.action in _SEEN_NEEDED else None
        lead_id = None if step.action in _BY_OPERATOR else case.lead_id
        if lead_id and uses_terminal(lead_id):
            request = ActionRequested(
                case_id=case.case_id,
                action_id=action_id,
                action=step.action,
                actor=Actor(role=ActorRole.LEAD, id=lead_id),
                occurred_at=occurred_at,
                expected_seq=seen,
                return_reason=step.return_reason,
            )
            await self._produce(
                request, FIELD_ACTIONS, str(case.case_id), str(action_id), "/terminals",
                occurred_at, traceparent_of(str(action_id)),
            )  # fmt: skip
            return True
        body = {
            "action": step.action.value,
            "action_id": str(action_id),
            "occurred_at": instant(occurred_at),
            "expected_seq": seen,
            "area_id": step.area_id,
            "return_reason": step.return_reason,
            "cancel_reason": step.cancel_reason,
        }
        return await self._ask(case.case_id, lead_id, body)

    async def merge(self, case: TrackedCase, into: TrackedCase, occurred_at: datetime) -> bool:
        """Join a case to the one of an earlier report; False if that is not allowed any more."""
        return await self._ask(
            case.case_id,
            None,
            {
                "action": Action.MERGE.value,
                "action_id": str(uuid5(_ACTIONS, f"{case.case_id}/{case.seq}")),
                "occurred_at": instant(occurred_at),
                "expected_seq": case.seq,
                "into_case": str(into.case_id),
                "into_expected_seq": into.seq,
                "correction_reason": "said_in_report",
            },
        )

    async def _ask(self, case_id: UUID, lead_id: str | None, body: dict[str, Any]) -> bool:
        try:
            await self._post(
                "dispatch",
                f"/api/dispatch/v1/cases/{case_id}/actions",
                {"Authorization": f"Bearer {self._token(lead_id)}"},
                {name: value for name, value in body.items() if value is not None},
            )
        except Refused:
            return False  # Somebody else was there first: a visitor perhaps.
        return True

    async def rate(self, case: TrackedCase, rating: PlannedRating) -> None:
        """Rate the case's closing, by the secret link that the reporter was sent."""
        assert case.closing is not None
        identity = case.case_id.bytes + case.closing.to_bytes(4, "big")
        body = {"solved": rating.solved, "score": rating.score, "reopen": rating.reopen}
        await self._post(
            "notify",
            f"/api/notify/v1/ratings/{self._links.seal(LinkPurpose.RATE, identity)}",
            {},
            body,
        )

    def _new_token(self, lead_id: str | None) -> str:
        role = Role.LEAD if lead_id else Role.OPERATOR
        subject = lead_id or "operator-1"
        return development_token(self._endpoints.token_key, role, subject, lead_id, TOKEN_LIFETIME)

    async def _produce(
        self,
        message: Message,
        topic: str,
        key: str,
        event_id: str,
        source: str,
        occurred_at: datetime,
        traceparent: str,
    ) -> None:
        record = cloud_event(
            message,
            topic=topic,
            key=key,
            event_id=event_id,
            source=source,
            occurred_at=occurred_at,
            recorded_at=self._clock.now(),
            traceparent=traceparent,
        )
        await self._producer.send_and_wait(
            self._endpoints.topic_prefix + topic,
            record.value,
            key=record.key,
            headers=kafka_headers(record.headers),
        )

    async def _post(
        self, service: str, path: str, headers: dict[str, str], body: dict[str, Any]
    ) -> None:
        """Raises Refused for a no, Trouble when there is no answer for a minute."""
        url = self._endpoints.services[service]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                async with self._room:
                    answer = await self._http.post(url + path, headers=headers, json=body)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
            else:
                if answer.is_success:
                    return
                if answer.status_code not in (502, 503, 504):
                    raise Refused(service, answer)
                reason = f"{answer.status_code} {answer.reason_phrase}"
            if time.monotonic() > deadline:
                raise Trouble(f"{service} does not answer at {url} ({reason}).", START_IT)
            await asyncio.sleep(RETRY_SECONDS)
