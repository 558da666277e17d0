"""Kafka's topic ids (KIP-516): a topic that was deleted and made again has another one."""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any, Final
from uuid import UUID

import structlog
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import IncompatibleBrokerVersion, KafkaError, NodeNotReadyError

from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import by_who_answers, in_time, metadata_client
from lastmetre.common.kafka.metadata_request import Metadata
from lastmetre.common.kafka.ports import BrokerError

log = structlog.get_logger()

ANSWER_SECONDS: Final = 2.0
"""A broker that takes longer is asked no more: another one is, the next time."""


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
        answer: Any = await self._client.send(self._node, Metadata(names))
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
