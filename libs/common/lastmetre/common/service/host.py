"""The parts that every service is made of, brought up, watched and drained in one way."""

import asyncio
import gc
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

import structlog

from lastmetre.common.contracts.messages import TOPIC_MESSAGES
from lastmetre.common.contracts.topics import dead_letter_topic
from lastmetre.common.kafka.clients import faststream_security
from lastmetre.common.kafka.consumer import LINGER_INTERACTIVE, BatchConsumer
from lastmetre.common.kafka.subscribers import Handler, Subscriber, Subscribers
from lastmetre.common.outbox.catching_up import Adopt
from lastmetre.common.outbox.unit_of_work import NoCipher, PayloadCipher, UnitOfWork
from lastmetre.common.postgres.core_tables import TABLES
from lastmetre.common.postgres.database import (
    PostgresDatabase,
    create_pool,
    queue_settings,
    server_settings,
)
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.postgres.identity import IdentityCheck
from lastmetre.common.postgres.migrate import migrate_when_up
from lastmetre.common.postgres.outbox_table import outbox_waiting
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.service.build_info import build_info
from lastmetre.common.service.catching_up import catch_up_when_up
from lastmetre.common.service.ids import IdGenerator
from lastmetre.common.service.kafka_clients import KafkaClients, build_relay
from lastmetre.common.service.measuring import Measuring, measure_process
from lastmetre.common.service.settings import LinkSettings, ServiceSettings
from lastmetre.common.service.tasks import OwnedTasks, Work, cancel_until_gone
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import TRACES

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection, Pool

log = structlog.get_logger()

POOL_SIZE: Final = 10
LIVE_WITHIN_SECONDS: Final = 120.0
DRAIN_SECONDS: Final = 9.0
"""For consumers, other work, relay and pools together: less than whoever stops us waits."""
CLOSE_SECONDS: Final = 1.0
COUNTED_ROWS: Final = 100_000
GONE_BACK_EXIT: Final = 75
"""EX_TEMPFAIL: start me again."""


class StillStarting(ConnectionError):
    """The log may hold what this database does not know yet: nothing is decided by it."""


class ServiceHost:
    """A service's pools, relay, consumers and background work, and whether they are well."""

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        sends_to: Sequence[str],
        cipher: PayloadCipher | None = None,
    ) -> None:
        if settings.otlp_endpoint:
            _export_spans(str(settings.otlp_endpoint), name)
        self.name = name
        self.sends_to = tuple(sends_to)
        self.settings = settings
        self.clock = settings.clock()
        self.identities = IdGenerator()
        self._links = settings.links() if isinstance(settings, LinkSettings) else None
        self.cipher = cipher or NoCipher()
        self.consumers: list[BatchConsumer] = []
        self.tasks = OwnedTasks()
        self._dsn = settings.database_url.get_secret_value()
        self._check = IdentityCheck(_end_at_once)
        self._kafka = KafkaClients(name, settings.kafka, settings.topic_prefix)
        self.relay = build_relay(
            name, (*sends_to, dead_letter_topic(name)), self._dsn, self._kafka, self._check
        )
        self.subscribers = Subscribers(
            name, settings.kafka.bootstrap_servers, faststream_security(settings.kafka)
        )
        for topic in sends_to:
            self.subscribers.publisher(topic, TOPIC_MESSAGES[topic])
        self._pool: Pool | None = None
        self._consumers_pool: Pool | None = None
        self._work: list[Work] = []
        self._early_work: list[Work] = [self._kafka.rights.run]
        self._adopt: dict[str, Adopt] = {}
        self._serves: Callable[[], Sequence[str]] = self._serves_once_up
        self._health = {"rights": self._kafka.rights.missing}
        self._relay_task: asyncio.Task[None] | None = None
        self._consumer_tasks: list[asyncio.Task[None]] = []
        self._measuring: Measuring | None = None
        self._bringing_up_task: asyncio.Task[None] | None = None
        self._when_told_to_stop: list[Callable[[], None]] = []
        self._stopped = False
        self._up = False
        self._bringing_up: str | None = "not started"

    # --- declaring -------------------------------------------------------------------------

    @property
    def pool(self) -> "Pool":
        """The service's database; exists from `start` on."""
        if self._pool is None:
            raise RuntimeError("the host is not started")
        return self._pool

    @property
    def links(self) -> SignedLinks:
        """The secret links, for a service whose settings have their key."""
        if self._links is None:
            raise RuntimeError(f"{self.name} has no business with secret links")
        return self._links

    @property
    def connection_check(self) -> IdentityCheck:
        """What a connection outside the pools has to pass before it is used."""
        return self._check

    def consume(
        self,
        consumer: str,
        topics: Sequence[str],
        handle: Handler,
        linger_seconds: float = LINGER_INTERACTIVE,
    ) -> None:
        """Declare a consumer: a group of its own over `topics`."""
        self.subscribers.subscriber(consumer, topics, handle, linger_seconds)

    def publishes(self, topic: str, adopt: Adopt) -> None:
        """Declare how records of an own topic are taken in that the database has never heard of.

        After a restore, or the promotion of a standby, the topic may be ahead of the database.
        """
        self._adopt[topic] = adopt

    def background(self, work: Work, *, needs_database: bool = True) -> None:
        """Declare work that runs beside the consumers as long as the service does.

        It begins once the service has caught up, or at once if it does not need the database. It is
        cancelled when the service is told to stop, and may use the drain's time to end well.
        """
        (self._work if needs_database else self._early_work).append(work)

    def when_told_to_stop(self, end: Callable[[], None]) -> None:
        """Declare what ends answers that have no end of their own: others are waited for first."""
        self._when_told_to_stop.append(end)

    def serves_when(self, missing: Callable[[], Sequence[str]]) -> None:
        """Declare what keeps this process from being given requests (`/readyz`)."""
        self._serves = missing

    def watch(self, check: str, missing: Callable[[], Sequence[str]]) -> None:
        """Declare a check of the service's own (`/readyz?all`)."""
        self._health[check] = missing

    def unit_of_work(self, connection: "Connection", consumer: str) -> UnitOfWork:
        """For effects outside a batch (an HTTP request, a replay); the caller has begun a
        transaction, calls `flush` in it, and wakes the relay after committing.

        Raises StillStarting, which is answered as a database that is away, until the service has
        caught up with its own topics: else two pasts would be told of one case.
        """
        if not self._up:
            raise StillStarting(self._bringing_up)
        return self._unit_of_work(connection, consumer)

    def _unit_of_work(self, connection: "Connection", consumer: str) -> UnitOfWork:
        return UnitOfWork(
            connection,
            TABLES,
            service=self.name,
            consumer=consumer,
            now=self.clock.now(),
            cipher=self.cipher,
        )

    # --- beginning -------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin; does not wait for database or broker, readiness tells when they are there."""
        self._pool = await create_pool(
            self._dsn, size=POOL_SIZE, settings=server_settings(self.name), check=self._check
        )
        self._consumers_pool = await create_pool(
            self._dsn,
            size=max(len(self.subscribers.declared), 1),
            settings=queue_settings(self.name),
            for_transactions_only=True,
            check=self._check,
        )
        metrics.from_the_start(self.name, [each.name for each in self.subscribers.declared])
        pools = {"requests": self._pool, "consumers": self._consumers_pool}
        self.tasks.spawn("measuring", partial(measure_process, self.name, self.checks, pools))
        for work in self._early_work:
            self.tasks.spawn(_name_of(work), work)
        self._bringing_up_task = self.tasks.spawn("bringing up", self._bring_up, may_end=True)

    async def _bring_up(self) -> None:
        self._bringing_up = "waiting for the database"
        await migrate_when_up(self._dsn, ("common.runtime", self.name))
        await catch_up_when_up(
            self.pool,
            self._kafka,
            self._adopt,
            unit_of_work=lambda connection: self._unit_of_work(connection, "log"),
            clock=self.clock,
            waits=self._waits,
        )
        self._measuring = Measuring(
            self.name,
            PostgresDatabase(self.pool),
            self.relay,
            {each.name: each.topics for each in self.subscribers.declared},
            self._kafka.open_log,
        )
        self._relay_task = self.tasks.spawn("relay", self.relay.run)
        self.tasks.spawn("measuring tables", self._measuring.tables)
        if self.subscribers.declared:
            self.tasks.spawn("measuring lag", self._measuring.lag)
        self.consumers = [self._consumer(each) for each in self.subscribers.declared]
        self._consumer_tasks = [
            self.tasks.spawn(f"consumer {each.name}", each.run) for each in self.consumers
        ]
        for work in self._work:
            self.tasks.spawn(_name_of(work), work)
        # Long-lived objects need not be looked at again: 14 % less CPU (docs/architecture.md).
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 20, 100)
        self._bringing_up = None
        self._up = True

    def _waits(self, reason: str) -> None:
        self._bringing_up = reason

    def _consumer(self, subscriber: Subscriber) -> BatchConsumer:
        assert self._consumers_pool is not None
        return BatchConsumer(
            subscriber.name,
            subscriber.topics,
            subscriber.handle,
            service=self.name,
            connect=lambda: self._kafka.consumer(subscriber.name, subscriber.topics),
            database=PostgresDatabase(self._consumers_pool),
            tables=TABLES,
            outbox=self.relay,
            clock=self.clock,
            cipher=self.cipher,
            random=Random(),
            linger_seconds=subscriber.linger_seconds,
        )

    # --- ending ----------------------------------------------------------------------------

    def told_to_stop(self) -> None:
        """The process is to end; requests that run may still be answered. May be said again."""
        for end in self._when_told_to_stop:
            end()

    async def stop(self) -> None:
        """Drain: no work comes in, what writes finishes, the relay ends last with nothing left."""
        if self._stopped:
            return
        self._stopped = True
        self.told_to_stop()
        self.tasks.stopping()
        if self._bringing_up_task:
            # First of all: it begins consumers and relay, which would miss that they must end.
            await cancel_until_gone([self._bringing_up_task])
        for consumer in self.consumers:
            consumer.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self._drain()
        except TimeoutError:
            self.tasks.failed = True
            log.error("the drain took too long", still=self.tasks.running)
            await self._say_what_is_left()
        else:
            if self.relay.missing():  # it ended with rows that it must not send
                self.tasks.failed = True
                await self._say_what_is_left()
        await self.tasks.end()
        await self._kafka.close()
        closing = [pool.close() for pool in (self._consumers_pool, self._pool) if pool]
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*closing)
        await TRACES.end()

    async def _say_what_is_left(self) -> None:
        """How many messages stay in the outbox, for the next process to send."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS), self.pool.acquire() as connection:
                waiting = await outbox_waiting(connection, COUNTED_ROWS)
        except DATABASE_ERRORS as error:
            log.error("nobody knows what is left in the outbox", error=type(error).__name__)
        else:
            log.error(
                "messages are left in the outbox",
                messages=waiting.messages,
                why=list(self.relay.missing()),
            )

    async def _drain(self) -> None:
        lasting = {self._relay_task, *self._consumer_tasks}
        await asyncio.gather(
            *self._consumer_tasks, self.tasks.cancel(spare=lasting), return_exceptions=True
        )
        self.relay.stop()
        if self._relay_task:
            await asyncio.wait([self._relay_task])

    # --- health ----------------------------------------------------------------------------

    def alive(self) -> list[str]:
        """Loops that neither work nor wait; empty while all turn."""
        loops = {f"consumer {each.name}": each.state for each in self.consumers}
        loops["relay"] = self.relay.state
        return [
            f"{name} has not turned for {state.silent_seconds():.0f} s"
            for name, state in loops.items()
            if state.silent_seconds() > LIVE_WITHIN_SECONDS
        ]

    def serving(self) -> Sequence[str]:
        """What keeps this process from being given requests; empty if it may have them."""
        return self._serves()

    def _serves_once_up(self) -> Sequence[str]:
        if not self._up:
            return [f"still starting: {self._bringing_up}"]
        return [] if self.relay.has_room.is_set() else ["outbox: over its limit"]

    def consumers_missing(self) -> Sequence[str]:
        """What keeps records from being read, by any consumer; empty while all are read."""
        return [missing for each in self.consumers for missing in each.missing()]

    def checks(self) -> Mapping[str, Sequence[str]]:
        """Every check with what is missing, nothing where all is well."""
        asked = {"database": self._measuring.database} if self._measuring else {}
        if self._measuring and self.subscribers.declared:
            asked["kafka"] = self._measuring.kafka
        found: dict[str, Sequence[str]] = {
            "starting": [] if self._up else [f"still starting: {self._bringing_up}"],
            "relay": self.relay.missing(),
            "outbox": [] if self.relay.has_room.is_set() else ["outbox: over its limit"],
            "serving": self.serving() if self._serves != self._serves_once_up else [],
        }
        for name, answers in asked.items():
            found[name] = [f"{name}: {missing}"] if (missing := answers.missing) else []
        for each in self.consumers:
            found[f"consumer {each.name}"] = each.missing()
        return found | {name: check() for name, check in self._health.items()}


def _name_of(work: Work) -> str:
    return getattr(work, "__qualname__", type(work).__name__)


def _export_spans(endpoint: str, service: str) -> None:
    # Imported here alone: without an endpoint nobody pays for OpenTelemetry.
    from lastmetre.common.telemetry.otlp import exporting_to

    TRACES.begin(exporting_to(endpoint, service, build_info(service).version))


def _end_at_once(reason: str) -> None:
    """Without draining: a transaction more would be a second past beside the log's."""
    log.critical("the process ends at once and begins anew", reason=reason)
    os._exit(GONE_BACK_EXIT)
