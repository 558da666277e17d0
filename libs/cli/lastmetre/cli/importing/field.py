"""Actions onto `field.actions`, and dispatch's answers from `field.outcomes`, as a partner does."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from lastmetre.cli.console import Trouble
from lastmetre.common.contracts.requests import ActionAnswered, ActionRequested
from lastmetre.common.contracts.topics import FIELD_ACTIONS, FIELD_OUTCOMES, PARTITIONS
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.service.ids import IdGenerator

SOURCE: Final = "/lastmetre/replay"
ANSWER_SECONDS: Final = 20.0
"""Without any answer for so long, what is not answered is asked again: that is harmless."""
PATIENCE_SECONDS: Final = 120.0
STOP_SECONDS: Final = 5.0
POLL_MILLISECONDS: Final = 100
BATCH_BYTES: Final = 512 * 1024


class Answered(NamedTuple):
    """Dispatch's answer; `before`: it had been given when the action came this time."""

    refusal: str | None
    before: bool


class Field:
    """Asks for actions and waits for the answers. Its consumer belongs to no group."""

    def __init__(self, access: KafkaAccess, prefix: str, consumer: AIOKafkaConsumer) -> None:
        self._access = access
        self._prefix = prefix
        self._consumer = consumer
        self._producer: AIOKafkaProducer | None = None
        self._identities = IdGenerator()

    async def ask(self, requests: Sequence[ActionRequested]) -> dict[UUID, Answered]:
        """The answer to each by action id. Raises Trouble if dispatch does not answer."""
        open_ = {request.action_id: request for request in requests}
        answers: dict[UUID, Answered] = {}
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while open_:
            problem = await self._send(list(open_.values()))
            got = await self._answers(open_, ANSWER_SECONDS if problem is None else 1.0)
            answers |= got
            if got:
                give_up_at = time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > give_up_at:
                raise Trouble(
                    f"Dispatch has answered none of {len(open_)} actions for"
                    f" {PATIENCE_SECONDS:.0f} s{f' ({problem})' if problem else ''}.",
                    "`lastmetre status` shows what is wrong; then replay again.",
                )
        return answers

    async def _send(self, requests: Sequence[ActionRequested]) -> str | None:
        """Once Kafka has them: None; what is wrong otherwise. The producer is then made anew."""
        try:
            if self._producer is None:
                self._producer = clients.producer(
                    self._access, "lastmetre-replay", max_batch_size=BATCH_BYTES
                )
                async with asyncio.timeout(ANSWER_SECONDS):
                    await self._producer.start()
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._produce(self._producer, requests)
        except (KafkaError, OSError, TimeoutError) as error:
            await self.close_producer()
            return f"{type(error).__name__}: {error}"
        return None

    async def _produce(
        self, producer: AIOKafkaProducer, requests: Sequence[ActionRequested]
    ) -> None:
        now = datetime.now(UTC)
        keys = [str(request.case_id) for request in requests]
        placed = partitions_of([key.encode() for key in keys], PARTITIONS)
        by_partition: dict[int, list[tuple[str, ActionRequested]]] = defaultdict(list)
        for key, request, partition in zip(keys, requests, placed, strict=True):
            by_partition[partition].append((key, request))
        sent: list[Any] = []
        for partition, group in by_partition.items():
            batch = producer.create_batch()
            for key, request in group:
                record = cloud_event(
                    request,
                    topic=FIELD_ACTIONS,
                    key=key,
                    event_id=str(request.action_id),
                    source=SOURCE,
                    occurred_at=request.occurred_at,
                    recorded_at=now,
                    traceparent=self._identities.traceparent(),
                )
                batch.append(
                    key=record.key,
                    value=record.value,
                    timestamp=None,
                    headers=kafka_headers(record.headers),
                )
            topic = self._prefix + FIELD_ACTIONS
            sent.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*sent)

    async def _answers(
        self, open_: dict[UUID, ActionRequested], seconds: float
    ) -> dict[UUID, Answered]:
        """Answers to what is open, taken out of it, until none came for `seconds`."""
        found: dict[UUID, Answered] = {}
        deadline = time.monotonic() + seconds
        while open_ and time.monotonic() < deadline:
            for records in (await self._consumer.getmany(timeout_ms=POLL_MILLISECONDS)).values():
                for record in records:
                    answer = ActionAnswered.from_json(record.value or b"")
                    if open_.pop(answer.action_id, None) is not None:
                        found[answer.action_id] = Answered(answer.refusal, _before(record.headers))
                        deadline = time.monotonic() + seconds
        return found

    async def close_producer(self) -> None:
        """Its stop() can hang."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await producer.stop()


def _before(headers: Sequence[tuple[str, bytes]]) -> bool:
    """An answer that is given again keeps the time of its first giving."""
    held = dict(headers)
    return held["ce_time"] != held["ce_recordedtime"]


@asynccontextmanager
async def open_field(access: KafkaAccess, prefix: str) -> AsyncIterator[Field]:
    """The city's topics, read from their present ends. Raises Trouble without a broker."""
    consumer = clients.consumer(access, client_id="lastmetre-replay")
    field = Field(access, prefix, consumer)
    try:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await consumer.start()
            places = [TopicPartition(prefix + FIELD_OUTCOMES, n) for n in range(PARTITIONS)]
            consumer.assign(places)
            async with asyncio.timeout(ANSWER_SECONDS):
                ends = await consumer.end_offsets(places)
        except (KafkaError, OSError, TimeoutError) as error:
            raise Trouble(
                f"No broker answers at {access}.", "is the stack running? `lastmetre status`"
            ) from error
        for place, end in ends.items():
            consumer.seek(place, end)
        yield field
    finally:
        await field.close_producer()
        await consumer.stop()
