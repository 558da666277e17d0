"""Topics of tests that have a set of their own."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from lastmetre.common.contracts.topics import PARTITIONS, TOPICS
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.alter_configs import IncrementalAlterConfigs
from lastmetre.common.kafka.clients import metadata_client

ALL: Final = tuple(each.name for each in TOPICS)


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topics(bootstrap_servers: str, prefix: str, names: Collection[str]) -> None:
    """Some of the declared topics, with one copy each: twelve partitions cost a broker time."""
    async with _admin(bootstrap_servers) as admin:
        answer: Any = await admin.create_topics(
            [
                NewTopic(prefix + each.name, PARTITIONS, 1, topic_configs=each.settings_for(1))
                for each in TOPICS
                if each.name in names
            ]
        )
    assert not any(code for _, code, _ in answer.topic_errors), answer


async def set_topic(bootstrap_servers: str, topic: str, settings: dict[str, str]) -> None:
    """Settings of a topic as somebody else might change them."""
    client = metadata_client(KafkaAccess.plaintext(bootstrap_servers), "test")
    await client.bootstrap()
    try:
        request = IncrementalAlterConfigs({topic: settings})
        answer: Any = await client.send(client.get_random_node(), request)
    finally:
        await client.close()
    assert not any(code for code, *_ in answer.responses), answer


async def delete_topics(bootstrap_servers: str, prefix: str, names: Collection[str] = ALL) -> None:
    """Undo it: a broker with thousands of partitions takes minutes to recover."""
    async with _admin(bootstrap_servers) as admin:
        await admin.delete_topics([prefix + name for name in names])


async def records_of(bootstrap_servers: str, topic: str) -> list[Any]:
    """All records that a topic holds now, each partition's in order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    try:
        places = [TopicPartition(topic, p) for p in range(PARTITIONS)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place in places:
            consumer.seek(place, 0)
        found: list[Any] = []
        while len(found) < sum(ends.values()):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found.extend(records)
        return found
    finally:
        await consumer.stop()
