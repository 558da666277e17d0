"""What a cluster says of itself, and of what whoever asks may do in it."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    KafkaError,
    NodeNotReadyError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest_v3, DescribeGroupsResponse_v3
from aiokafka.protocol.api import Request, RequestStruct

from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.features_request import (
    FINALIZED,
    SUPPORTED,
    Features,
    metadata_level,
    release_of,
)
from lastmetre.common.kafka.metadata_request import Metadata

ANSWER_SECONDS: Final = 10.0
LOOK_AGAIN_SECONDS: Final = 0.2
OPERATIONS: Final[Mapping[int, str]] = {
    3: "Read", 4: "Write", 5: "Create", 6: "Delete", 7: "Alter", 8: "Describe",
    9: "ClusterAction", 10: "DescribeConfigs", 11: "AlterConfigs",
}  # fmt: skip
"""Kafka's AclOperation by its code: the bit of that number says that it is allowed."""


class _GroupStruct(RequestStruct):
    # aiokafka 0.14 reads the answer as one of version 2, which lacks what is asked for.
    API_KEY = DescribeGroupsRequest_v3.API_KEY
    API_VERSION = DescribeGroupsRequest_v3.API_VERSION
    RESPONSE_TYPE = DescribeGroupsResponse_v3
    SCHEMA = DescribeGroupsRequest_v3.SCHEMA


class _DescribeGroup(Request[_GroupStruct]):
    API_KEY = _GroupStruct.API_KEY

    def __init__(self, group: str) -> None:
        self._group = group

    def build(self, request_struct_class: type[_GroupStruct]) -> _GroupStruct:
        return request_struct_class([self._group], True)


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; `leader` is -1 where there is none."""

    number: int
    leader: int
    replicas: tuple[int, ...]
    in_sync: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TopicView:
    """A topic; `error` is the name of Kafka's error, empty without one."""

    error: str
    partitions: tuple[Partition, ...]
    operations: frozenset[str]


@dataclass(frozen=True, slots=True)
class BrokerView:
    """A broker. `release` is its build's, `in_use` what the cluster was told to use."""

    node: int
    address: str
    problem: str = ""
    release: str = ""
    in_use: str = ""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """Topics are by name; one that does not exist has an error."""

    brokers: tuple[BrokerView, ...]
    topics: Mapping[str, TopicView]


async def look_at_cluster(access: KafkaAccess, topics: Collection[str]) -> ClusterView:
    """Ask once. Raises KafkaError, OSError or TimeoutError where no broker answers."""
    async with asyncio.timeout(ANSWER_SECONDS), _client(access) as client:
        node = client.get_random_node()
        if node is None:
            raise NodeNotReadyError("no broker is known")
        answer: Any = await client.send(node, Metadata(topics, operations=True))
        brokers = await asyncio.gather(
            *(_broker(client, each[0], f"{each[1]}:{each[2]}") for each in answer.brokers)
        )
    return ClusterView(tuple(brokers), {each[1]: _topic(each) for each in answer.topics})


async def group_operations(
    access: KafkaAccess, groups: Collection[str]
) -> Mapping[str, frozenset[str]]:
    """What the asker may do with groups of these names, whether or not they exist.

    Raises KafkaError, OSError or TimeoutError.
    """
    admin = clients.admin(access, "lastmetre-rights")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await admin.start()
            return {each: await _group(admin, each) for each in groups}
    finally:
        await clients.in_time(admin.close())


async def _group(admin: AIOKafkaAdminClient, group: str) -> frozenset[str]:
    coordinator = None
    while coordinator is None:
        try:
            coordinator = await admin.find_coordinator(group)
        except GroupAuthorizationFailedError:
            return frozenset()
        except GroupCoordinatorNotAvailableError:  # of a cluster that has had no group before
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
    answer: Any = await admin._send_request(_DescribeGroup(group), coordinator)  # noqa: SLF001
    ((code, *_, operations),) = answer.groups
    if code == GroupAuthorizationFailedError.errno:
        return frozenset()
    if code:
        raise for_code(code)(group)
    return _named(operations)


@asynccontextmanager
async def _client(access: KafkaAccess) -> AsyncIterator[AIOKafkaClient]:
    client = clients.metadata_client(access, "lastmetre-doctor")
    try:
        await client.bootstrap()
        yield client
    finally:
        await clients.in_time(client.close())


async def _broker(client: AIOKafkaClient, node: int, address: str) -> BrokerView:
    try:
        answer: Any = await client.send(node, Features())
    except (KafkaError, OSError, TimeoutError, NotImplementedError) as error:
        return BrokerView(node, address, problem=type(error).__name__)
    build, used = metadata_level(answer, SUPPORTED), metadata_level(answer, FINALIZED)
    return BrokerView(
        node,
        address,
        release="" if build is None else release_of(build),
        in_use="" if used is None else release_of(used),
    )


def _topic(told: Any) -> TopicView:
    code, _, _, _, partitions, operations, _ = told
    return TopicView(
        for_code(code).__name__ if code else "",
        tuple(
            Partition(number, leader, tuple(replicas), tuple(in_sync))
            for _, number, leader, _, replicas, in_sync, _, _ in partitions
        ),
        _named(operations),
    )


def _named(operations: int) -> frozenset[str]:
    # Kafka's mark for "not asked" is the lowest integer there is.
    if operations < 0:
        return frozenset()
    return frozenset(name for code, name in OPERATIONS.items() if operations >> code & 1)
