"""Records: written as the services' relays or partners write them, and read back."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.messages import TOPIC_MESSAGES
from lastmetre.common.contracts.network import REMOVED_IN_VERSION
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.topics import NETWORK_AREAS, PARTITIONS
from lastmetre.common.kafka.codec import cloud_event, kafka_headers
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.service.ids import IdGenerator
from tests.support.topics import records_of

Headers = Sequence[tuple[str, bytes | None]]

TERMINALS: Final = "/tests/terminals"
"""A system that nobody has named: it speaks for leads."""
CENTRE: Final = "/lastmetre/replay"
"""Named in a stack's `field-systems.json`: it speaks for operators, too."""
TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

_TOPICS: Final = {kind: topic for topic, kinds in TOPIC_MESSAGES.items() for kind in kinds}


def submitted(channel: str, sender: str = "partner") -> list[tuple[str, bytes | None]]:
    """What a partner's record says of itself."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", ReportSubmitted.TYPE.encode()),
        ("ce_source", f"/channels/{channel}/{sender}".encode()),
    ]


def key_of(message: Message) -> str:
    """The key under which a message of ours is written: its case, else its area or its report."""
    known = (getattr(message, name, None) for name in ("case_id", "area_id", "report_id"))
    return str(next(each for each in known if each is not None))


@dataclass(frozen=True)
class Written:
    """A record as it lies on its topic."""

    headers: dict[str, str]
    value: bytes

    @property
    def body(self) -> dict[str, Any]:
        """What its JSON holds."""
        body: dict[str, Any] = json.loads(self.value)
        return body


class Records:
    """Writes and reads the topics whose names begin with `prefix`, from `open` to `close`."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap = bootstrap
        self.prefix = prefix
        self.identities = IdGenerator()
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Connect the producer."""
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", enable_idempotence=True, linger_ms=5
        )
        await self._producer.start()

    async def close(self) -> None:
        """Disconnect it."""
        if self._producer:
            await self._producer.stop()

    @property
    def producer(self) -> AIOKafkaProducer:
        """Of those that write bytes of their own."""
        assert self._producer is not None, "not open"
        return self._producer

    async def produce(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        partition: int | None = None,
    ) -> tuple[int, int]:
        """Write one record as a partner would; returns its partition and offset."""
        if partition is None and key is not None:
            partition = partitions_of([key], PARTITIONS)[0]
        written: Any = await self.producer.send_and_wait(
            self.prefix + topic, value, key=key, partition=partition, headers=list(headers)
        )
        return written.partition, written.offset

    async def tell(
        self, *messages: Message, source: str = TERMINALS, partition: int | None = None
    ) -> None:
        """Write messages of our own kinds onto their topics, in this order, as relays do."""
        keys = [key_of(each) for each in messages]
        places = partitions_of([key.encode() for key in keys], PARTITIONS)
        sent = []
        for key, place, message in zip(keys, places, messages, strict=True):
            now, topic = datetime.now(UTC), _TOPICS[type(message)]
            record = cloud_event(
                message,
                topic=topic,
                key=key,
                event_id=str(self.identities.uuid7(now)),
                source=source,
                occurred_at=getattr(message, "occurred_at", now),
                recorded_at=getattr(message, "recorded_at", now),
                traceparent=TRACE,
            )
            sent.append(
                await self.producer.send(
                    self.prefix + topic,
                    record.value,
                    record.key,
                    place if partition is None else partition,
                    headers=kafka_headers(record.headers),
                )
            )
        await asyncio.gather(*sent)

    async def remove_area(self, area_id: str, version: int) -> None:
        """What dispatch sends when an area is no longer published: a record without a body."""
        headers = [(REMOVED_IN_VERSION, str(version).encode())]
        await self.produce(NETWORK_AREAS, area_id.encode(), None, headers)

    async def records(self, topic: str, kind: str | None = None) -> list[Written]:
        """All records of a topic, or those of one type, each partition's in order."""
        found = [
            Written({name: value.decode() for name, value in each.headers}, each.value or b"")
            for each in await records_of(self.bootstrap, self.prefix + topic)
        ]
        return [each for each in found if kind in (None, each.headers["ce_type"])]
