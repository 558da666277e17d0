"""The parts that every service is made of, brought up and drained in one way."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import structlog
from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker

from lastmetre.common.contracts.topics import dead_letter_topic
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.consumer import PROMPTLY_SECONDS, BatchConsumer, Handler
from lastmetre.common.outbox.relay import Relay
from lastmetre.common.outbox.unit_of_work import NoCipher, PayloadCipher, UnitOfWork
from lastmetre.common.postgres import core_tables as store
from lastmetre.common.postgres.database import (
    ACQUIRE_TIMEOUT_SECONDS,
    create_pool,
    queue_settings,
    server_settings,
)
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.postgres.migrate import migrate_when_up
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.service.ids import IdGenerator
from lastmetre.common.service.settings import ServiceSettings
from lastmetre.common.telemetry import metrics

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection, Pool

log = structlog.get_logger()

POOL_SIZE: Final = 10
KAFKA_RETRY_SECONDS: Final = 1.0
LIVE_WITHIN_SECONDS: Final = 120.0
DRAIN_SECONDS: Final = 9.0
"""For flows, relay and pool together: less than what whoever stops us waits before he kills."""
POOL_SECONDS: Final = 1.0
GAUGE_SECONDS: Final = 2.0

Work = Callable[[], Awaitable[None]]

Adopt = Callable[[UnitOfWork, Sequence[ConsumedRecord]], Awaitable[int]]
"""Takes in records of an own topic, in the order of their partition, within one transaction.

What the database knows already changes nothing; nothing is sent. Returns how many were new.
"""


class ServiceHost:
    """A service's pool, relay, flows and background work, and whether they are well."""

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        sends_to: Sequence[str],
        sealing: PayloadCipher | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self.clock = settings.clock()
        self.identities = IdGenerator()
        self.links = SignedLinks(settings.link_key)
        self.sealing = sealing or NoCipher()
        self.flows: list[BatchConsumer] = []
        self.relay = Relay(
            service=name,
            dsn=settings.database_url.get_secret_value(),
            bootstrap=settings.kafka_bootstrap_servers,
            prefix=settings.topic_prefix,
            topics=(*sends_to, dead_letter_topic(name)),
        )
        self._pool: Pool | None = None
        self._flows_pool: Pool | None = None
        self._handlers: list[tuple[str, tuple[str, ...], Handler, float]] = []
        self._work: list[Work] = []
        self._early_work: list[Work] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._relay_task: asyncio.Task[None] | None = None
        self._broker: KafkaBroker | None = None
        self._adopt: dict[str, Adopt] = {}
        self._health: dict[str, Callable[[], Sequence[str]]] = {}
        self._up = False
        self.failed = False
        """Whether the process ends because something of its own failed."""

    @property
    def pool(self) -> "Pool":
        """The service's database; exists from `start` on."""
        if self._pool is None:
            raise RuntimeError("the runtime is not started")
        return self._pool

    def consume(
        self,
        flow: str,
        topics: Sequence[str],
        handle: Handler,
        gather_seconds: float = PROMPTLY_SECONDS,
    ) -> None:
        """Declare a flow: its own consumer group over `topics`."""
        self._handlers.append((flow, tuple(topics), handle, gather_seconds))

    def publishes(self, topic: str, adopt: Adopt) -> None:
        """Declare how records of an own topic are taken in that the database has never heard of.

        After a restore, or the promotion of a standby, the topic may be ahead of the database.
        """
        self._adopt[topic] = adopt

    def background(self, work: Work, *, needs_database: bool = True) -> None:
        """Declare work that runs beside the flows as long as the service does.

        It begins once the database is migrated, or at once if it does not need it.
        """
        (self._work if needs_database else self._early_work).append(work)

    def watch(self, check: str, missing: Callable[[], Sequence[str]]) -> None:
        """Declare a check of the service's own."""
        self._health[check] = missing

    def unit_of_work(self, connection: "Connection", flow: str) -> UnitOfWork:
        """For effects outside a batch (an HTTP request, a replay); the caller has begun a
        transaction, calls `flush` in it, and wakes the relay after committing."""
        return UnitOfWork(
            connection, service=self.name, flow=flow, now=self.clock.now(), sealing=self.sealing
        )

    async def start(self) -> None:
        """Begin; does not wait for database or broker, readiness tells when they are there."""
        dsn = self.settings.database_url.get_secret_value()
        self._pool = await create_pool(dsn, size=POOL_SIZE, settings=server_settings(self.name))
        self._flows_pool = await create_pool(
            dsn,
            size=max(len(self._handlers), 1),
            settings=queue_settings(self.name),
            for_transactions_only=True,
        )
        self.flows = [
            BatchConsumer(
                flow,
                topics,
                handle,
                service=self.name,
                pool=self._flows_pool,
                relay=self.relay,
                clock=self.clock,
                sealing=self.sealing,
                prefix=self.settings.topic_prefix,
                gather_seconds=gather_seconds,
            )
            for flow, topics, handle, gather_seconds in self._handlers
        ]
        for work in self._early_work:
            self._spawn(work)
        self._spawn(self._bring_up)

    async def _bring_up(self) -> None:
        await migrate_when_up(
            self.settings.database_url.get_secret_value(), ("common.runtime", self.name)
        )
        self._relay_task = self._spawn(self.relay.run)
        self._spawn(self._measure)
        for work in self._work:
            self._spawn(work)
        await self._join_broker()
        # Long-lived objects need not be looked at again: 14 % less CPU (DESIGN, Speed).
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 100)
        self._up = True

    async def _join_broker(self) -> None:
        """FastStream gives up when Kafka is away at start; waiting is ours."""
        while self.flows:
            broker = KafkaBroker(
                self.settings.kafka_bootstrap_servers,
                client_id=self.name,
                apply_types=False,
                allow_auto_create_topics=False,
                graceful_timeout=DRAIN_SECONDS,
                logger=None,
            )
            for flow in self.flows:
                flow.subscribe(broker)
            try:
                await broker.start()
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("Kafka is not answering yet", error=type(error).__name__)
                with suppress(KafkaError, OSError, TimeoutError):
                    await broker.stop()
                await asyncio.sleep(KAFKA_RETRY_SECONDS)
            else:
                self._broker = broker
                return

    def _spawn(self, work: Work) -> asyncio.Task[None]:
        async def run() -> None:
            await work()

        task = asyncio.create_task(run())
        task.add_done_callback(self._ended)
        self._tasks.append(task)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Crash rather than limp: the supervisor starts us again, and nothing is lost by it."""
        if not task.cancelled() and (error := task.exception()):
            self.failed = True
            log.error("background work failed, stopping", exc_info=error)
            signal.raise_signal(signal.SIGTERM)

    async def _measure(self) -> None:
        while True:
            with suppress(*DATABASE_ERRORS):
                async with self.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
                    metrics.DEAD_LETTERS_WAITING.labels(self.name).set(
                        await store.count_dead_letters(connection)
                    )
                    metrics.PARKED_WAITING.labels(self.name).set(
                        await store.count_parked(connection)
                    )
            for flow in self.flows:
                metrics.LAG.labels(self.name, flow.name).set(flow.lag())
            await asyncio.sleep(GAUGE_SECONDS)

    async def stop(self) -> None:
        """Drain: finish running batches, relay what they wrote, then let go."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                if self._broker:
                    with suppress(KafkaError):
                        await self._broker.stop()
                self.relay.stop()
                if self._relay_task:
                    await asyncio.wait([self._relay_task])
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        closing = [pool.close() for pool in (self._flows_pool, self._pool) if pool]
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*closing), POOL_SECONDS)

    def alive(self) -> list[str]:
        """What is stuck; empty while the loops turn."""
        return [
            f"flow {flow.name} has not turned for {flow.idle_seconds():.0f} s"
            for flow in self.flows
            if self._up and flow.idle_seconds() > LIVE_WITHIN_SECONDS
        ]

    async def ready(self) -> list[str]:
        """What is missing; empty when the service does its work."""
        missing = [] if self._up else ["still starting"]
        try:
            async with self.pool.acquire(timeout=2) as connection:
                await connection.fetchval("SELECT 1", timeout=2)
        except DATABASE_ERRORS as error:
            missing.append(f"database: {type(error).__name__}")
        if not self.relay.working:
            missing.append("relay: waiting for broker or database")
        if not self.relay.has_room.is_set():
            missing.append("outbox: over its limit")
        for flow in self.flows:
            if flow.stopped_because:
                missing.append(f"flow {flow.name}: stopped, {flow.stopped_because}")
            elif flow.assigned is None:
                missing.append(f"flow {flow.name}: no assignment")
            elif flow.waiting_for:
                missing.append(f"flow {flow.name}: waiting, {flow.waiting_for}")
        missing += [f"{name}: {each}" for name, check in self._health.items() for each in check()]
        return missing
