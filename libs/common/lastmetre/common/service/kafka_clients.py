"""The Kafka clients of one service process, and its relay."""

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import TYPE_CHECKING, Any

from lastmetre.common.contracts.topics import LASTING, PARTITIONS
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.aiokafka_clients import (
    GroupConsumer,
    PartitionReader,
    log_reader,
    started,
)
from lastmetre.common.kafka.ports import ProducerClient, TopicPartition
from lastmetre.common.kafka.topic_ids import TopicIds
from lastmetre.common.kafka.traced_producer import TracedProducer
from lastmetre.common.outbox.messages import shard_of
from lastmetre.common.outbox.relay import Relay
from lastmetre.common.postgres.relay_session import relay_session
from lastmetre.common.service.own_rights import OwnRights
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import TRACES

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class KafkaClients:
    """Makes the clients of `service`, whose topics carry `prefix` on the broker."""

    def __init__(self, service: str, access: KafkaAccess, prefix: str) -> None:
        self._service = service
        self._access = access
        self._prefix = prefix
        self._topic_ids = TopicIds(access, f"{service}-topic-ids")
        self.rights = OwnRights(service, access, prefix)

    def consumer(self, name: str, topics: Sequence[str]) -> GroupConsumer:
        """A member of the group `<prefix><service>.<name>`, not started."""
        group = f"{self._prefix}{self._service}.{name}"
        return GroupConsumer(
            lambda: clients.consumer(self._access, client_id=self._service, group_id=group),
            topics,
            self._prefix,
            self._topic_ids,
        )

    async def producer(self) -> ProducerClient:
        """The relay's producer, connected; raises BrokerError."""
        client_id = f"{self._service}-relay"
        made = clients.producer(await clients.by_who_answers(self._access, client_id), client_id)
        connected = await started(made, self._prefix, self._compare_clocks)
        return TracedProducer(connected) if TRACES.on else connected

    def _compare_clocks(self, appended_at: float) -> None:
        metrics.KAFKA_CLOCK.labels(self._service).set(appended_at - time.time())

    async def close(self) -> None:
        """Let go of what the clients share; they are closed by who uses them."""
        await self._topic_ids.close()

    def open_log(
        self, topics: Collection[str] = ()
    ) -> AbstractAsyncContextManager[PartitionReader]:
        """A reader outside any group, connected; it reads records of `topics`, and offsets of any.
        Raises BrokerError."""
        return log_reader(
            lambda: clients.consumer(self._access, client_id=f"{self._service}-log"),
            [TopicPartition(topic, p) for topic in topics for p in range(PARTITIONS)],
            self._prefix,
        )


async def _unchecked(_: Any) -> None:
    pass


def build_relay(
    service: str,
    topics: Sequence[str],
    dsn: str,
    kafka: KafkaClients,
    check: "Callable[[Connection], Awaitable[None]]" = _unchecked,
) -> Relay:
    """The relay of a service that writes `topics`."""
    shards = [shard_of(topic, p) for topic in topics for p in range(PARTITIONS)]
    return Relay(
        service=service,
        open_session=lambda: relay_session(dsn, f"{service}-relay", shards, check),
        connect=kafka.producer,
        lasting=LASTING,
        random=Random(),
    )
