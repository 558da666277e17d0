"""Topics of tests that have a set of their own."""

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from lastmetre.common.contracts.topics import PARTITIONS, TOPICS


async def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Undo `apply_topics`: a broker with thousands of partitions takes minutes to recover."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([prefix + topic.name for topic in TOPICS])
    finally:
        await admin.close()


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
