"""The one place that makes Kafka clients."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import IllegalStateError, KafkaError
from faststream.security import (
    BaseSecurity,
    SASLOAuthBearer,
    SASLPlaintext,
    SASLScram256,
    SASLScram512,
)

from lastmetre.common.contracts.topics import MESSAGE_BYTES
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.oauth import TokenEndpoint
from lastmetre.common.kafka.tls import RenewingContext

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 3.0
ADMIN_ANSWER_SECONDS: Final = 15.0
BATCH_BYTES: Final = 512 * 1024
REQUEST_BYTES: Final = 3 * MESSAGE_BYTES
UNLIMITED_POLL_MS: Final = 24 * 60 * 60 * 1000
"""Between two polls: our own loop notices by itself what stands still."""


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def _connection(access: KafkaAccess, client_id: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "bootstrap_servers": list(access.bootstrap_servers),
        "client_id": client_id,
        "security_protocol": access.security_protocol,
        "metadata_max_age_ms": _milliseconds(access.metadata_max_age),
    }
    if access.uses_tls:
        made["ssl_context"] = RenewingContext(access.tls)
    if sasl := access.sasl:
        made["sasl_mechanism"] = sasl.mechanism
        if sasl.mechanism == "OAUTHBEARER":
            made["sasl_oauth_token_provider"] = TokenEndpoint(sasl, access.tls)
        else:
            made["sasl_plain_username"] = sasl.username
            made["sasl_plain_password"] = sasl.password
    return made


def consumer(
    access: KafkaAccess, *, client_id: str, group_id: str | None = None, **options: Any
) -> AIOKafkaConsumer:
    """A consumer, not started: of a group, or of none. Commits nothing by itself.

    `options` are aiokafka's own, and win.
    """
    group: dict[str, Any] = {}
    if group_id is not None:
        group = {
            "group_id": group_id,
            "session_timeout_ms": _milliseconds(access.session_timeout),
            "heartbeat_interval_ms": _milliseconds(access.heartbeat_interval),
            "rebalance_timeout_ms": _milliseconds(access.rebalance_timeout),
            "max_poll_interval_ms": UNLIMITED_POLL_MS,
        }
    common = {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        # What a partner's transaction took back was not said; our own have none.
        "isolation_level": "read_committed",
    }
    return AIOKafkaConsumer(**_connection(access, client_id) | common | group | options)


def producer(access: KafkaAccess, client_id: str, **options: Any) -> AIOKafkaProducer:
    """A producer, not started: idempotent, with acks=all. `options` are aiokafka's own."""
    common = {
        "acks": "all",
        "enable_idempotence": True,
        "max_batch_size": BATCH_BYTES,
        "max_request_size": REQUEST_BYTES,
        "request_timeout_ms": _milliseconds(access.request_timeout),
    }
    return AIOKafkaProducer(**_connection(access, client_id) | common | options)


def admin(access: KafkaAccess, client_id: str) -> AIOKafkaAdminClient:
    """A client for topics, not started."""
    return AIOKafkaAdminClient(
        **_connection(access, client_id), request_timeout_ms=_milliseconds(ADMIN_ANSWER_SECONDS)
    )


def metadata_client(access: KafkaAccess, client_id: str) -> AIOKafkaClient:
    """A client that only asks who is there; connects by `bootstrap`."""
    return AIOKafkaClient(
        **_connection(access, client_id), request_timeout_ms=_milliseconds(access.request_timeout)
    )


async def by_who_answers(access: KafkaAccess, client_id: str) -> KafkaAccess:
    """The same, by way of the broker that answers first; unchanged where none does.

    A client asks them one after the other, in any order, and waits for one that is frozen as for
    any request: that would double what a frozen leader costs. It learns of the others from the one.
    """
    servers = access.bootstrap_servers
    if len(servers) == 1:
        return access
    asked = [asyncio.create_task(answering(access, each, client_id)) for each in servers]
    try:
        for answer in asyncio.as_completed(asked):
            with suppress(KafkaError, OSError, TimeoutError):
                return replace(access, bootstrap_servers=(await answer,))
        return access
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def answering(access: KafkaAccess, server: str, client_id: str) -> str:
    """That broker, once it has let us in. Raises what keeps us out: KafkaError or OSError."""
    ((host, port, _),) = collect_hosts([server])
    options = _connection(access, client_id)
    del options["bootstrap_servers"], options["metadata_max_age_ms"]
    timeout = _milliseconds(access.request_timeout)
    connection = await create_conn(host, port, request_timeout_ms=timeout, **options)
    connection.close()
    return server


def faststream_security(access: KafkaAccess) -> BaseSecurity:
    """The same for FastStream's broker, and so for its AsyncAPI.

    FastStream hands no token provider on: with OAUTHBEARER its broker describes, but connects not.
    """
    context = RenewingContext(access.tls) if access.uses_tls else None
    sasl = access.sasl
    if sasl is None:
        return BaseSecurity(ssl_context=context)
    if sasl.mechanism == "OAUTHBEARER":
        return SASLOAuthBearer(ssl_context=context)
    kind = {
        "PLAIN": SASLPlaintext,
        "SCRAM-SHA-256": SASLScram256,
        "SCRAM-SHA-512": SASLScram512,
    }[sasl.mechanism]
    return kind(sasl.username, sasl.password, ssl_context=context)


@asynccontextmanager
async def idempotent_producer(
    access: KafkaAccess, client_id: str
) -> AsyncIterator[AIOKafkaProducer]:
    """A started producer. Thrown away on any error: one that failed a send stays broken."""
    made = producer(await by_who_answers(access, client_id), client_id)
    try:
        async with asyncio.timeout(START_SECONDS):
            await made.start()
        yield made
    finally:
        await in_time(made.stop())
        await in_time(made.client.close())


async def in_time(call: Awaitable[Any]) -> None:
    """Stop a client: `stop` may wait without an end for a broker that is away."""
    with suppress(KafkaError, OSError, TimeoutError, IllegalStateError):
        async with asyncio.timeout(STOP_SECONDS):
            await call
