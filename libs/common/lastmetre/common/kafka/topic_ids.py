"""Kafka's topic ids (KIP-516), which aiokafka 0.14 does not ask for."""

import asyncio
from collections.abc import Collection, Mapping
from io import BytesIO
from typing import Any, Final
from uuid import UUID

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, NodeNotReadyError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import by_who_answers, in_time, metadata_client
from lastmetre.common.kafka.ports import BrokerError

log = structlog.get_logger()

API_KEY: Final = 3
API_VERSION: Final = 11
ANSWER_SECONDS: Final = 2.0
"""A broker that takes longer is asked no more: another one is, the next time."""
UUID_BYTES: Final = 16


class _Uuid(AbstractType[bytes]):
    @classmethod
    def encode(cls, value: bytes) -> bytes:
        return value

    @classmethod
    def decode(cls, data: BytesIO) -> bytes:
        return data.read(UUID_BYTES)


class _Response(Response):
    API_KEY = API_KEY
    API_VERSION = API_VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition_index", Int32),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("replica_nodes", CompactArray(Int32)),
                        ("isr_nodes", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Struct(RequestStruct):
    FLEXIBLE_VERSION = True
    API_KEY = API_KEY
    API_VERSION = API_VERSION
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid), ("name", CompactString("utf-8")), ("tags", TaggedFields)
            ),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Metadata(Request[_Struct]):
    API_KEY = API_KEY

    def __init__(self, names: Collection[str]) -> None:
        self._names = names

    def build(self, request_struct_class: type[_Struct]) -> _Struct:
        topics: list[tuple[bytes, str, dict[int, bytes]]] = [
            (bytes(UUID_BYTES), name, {}) for name in self._names
        ]
        return request_struct_class(topics, False, False, {})


def _node_at(client: AIOKafkaClient, address: str) -> int:
    """The broker that was connected to, or any one if it calls itself otherwise."""
    found = {f"{each.host}:{each.port}": each.nodeId for each in client.cluster.brokers()}
    node: int | None = found.get(address, client.get_random_node())
    if node is None:
        raise NodeNotReadyError("no broker is known")
    return node


class TopicIds:
    """Asks for topics' ids by a connection of its own, which is made when it is needed."""

    def __init__(self, access: KafkaAccess, client_id: str) -> None:
        self._access = access
        self._client_id = client_id
        self._client: AIOKafkaClient | None = None
        self._node = 0
        self._asking = asyncio.Lock()
        self._unknown_here = False

    async def of(self, names: Collection[str]) -> Mapping[str, UUID]:
        """The id of each topic that exists, by its name on the broker.

        Empty where brokers are too old to have ids (before 2.8). Raises BrokerError.
        """
        if self._unknown_here:
            return {}
        async with self._asking:
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    return await self._ask(names)
            except (KafkaError, OSError, TimeoutError) as error:
                await self._let_go()
                raise BrokerError(f"{type(error).__name__}: {error}") from error
            except (NotImplementedError, IncompatibleBrokerVersion):
                log.warning("this broker has no topic ids: topics made anew are found by records")
                self._unknown_here = True
                return {}

    async def _ask(self, names: Collection[str]) -> Mapping[str, UUID]:
        if self._client is None:
            access = await by_who_answers(self._access, self._client_id)
            self._client = metadata_client(access, self._client_id)
            await self._client.bootstrap()
            self._node = _node_at(self._client, access.bootstrap_servers[0])
        answer: Any = await self._client.send(self._node, _Metadata(names))
        return {
            topic[1]: UUID(bytes=topic[2])
            for topic in answer.topics
            if topic[0] == 0 and any(topic[2])
        }

    async def _let_go(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await in_time(client.close())

    async def close(self) -> None:
        """Let go of the broker; a later question connects again."""
        async with self._asking:
            await self._let_go()
