"""The Kafka clients of one service process, and its relay."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from lastmetre.common.contracts.topics import LASTING, MESSAGE_BYTES, PARTITIONS
from lastmetre.common.kafka.aiokafka_clients import (
    GroupConsumer,
    OutboxProducer,
    PartitionReader,
    log_reader,
    started,
)
from lastmetre.common.outbox.messages import shard_of
from lastmetre.common.outbox.relay import Relay
from lastmetre.common.postgres.relay_session import relay_session

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

SESSION_TIMEOUT_MS: Final = 6_000
REBALANCE_TIMEOUT_MS: Final = 60_000
METADATA_MAX_AGE_MS: Final = 20_000
REQUEST_TIMEOUT_MS: Final = 4_000
BATCH_BYTES: Final = 512 * 1024


class KafkaClients:
    """Makes the clients of `service`, whose topics carry `prefix` on the broker."""

    def __init__(self, service: str, bootstrap_servers: str, prefix: str) -> None:
        self._service = service
        self._bootstrap = bootstrap_servers.split(",")
        self._prefix = prefix

    def consumer(self, name: str, topics: Sequence[str]) -> GroupConsumer:
        """A member of the group `<prefix><service>.<name>`, not started."""
        return GroupConsumer(
            lambda: AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                client_id=self._service,
                group_id=f"{self._prefix}{self._service}.{name}",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                # What a partner's transaction took back was not said; our own have none.
                isolation_level="read_committed",
                session_timeout_ms=SESSION_TIMEOUT_MS,
                heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
                rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
                max_poll_interval_ms=24 * 60 * 60 * 1000,
                metadata_max_age_ms=METADATA_MAX_AGE_MS,
            ),
            topics,
            self._prefix,
        )

    async def producer(self) -> OutboxProducer:
        """The relay's producer, connected; raises BrokerError."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap,
            client_id=f"{self._service}-relay",
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=3 * MESSAGE_BYTES,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=METADATA_MAX_AGE_MS,
        )
        return await started(producer, self._prefix)

    def open_log(self) -> AbstractAsyncContextManager[PartitionReader]:
        """A reader outside any group, connected; raises BrokerError."""
        return log_reader(
            lambda: AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap,
                client_id=f"{self._service}-log",
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                metadata_max_age_ms=METADATA_MAX_AGE_MS,
                # A fetch that waits at one partition's end would hold up the next partition's.
                fetch_max_wait_ms=20,
            ),
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
