"""Topics of tests that have a set of their own."""

from aiokafka.admin import AIOKafkaAdminClient

from lastmetre.common.contracts.topics import TOPICS


async def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    """Undo `apply_topics`: a broker with thousands of partitions takes minutes to recover."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([prefix + topic.name for topic in TOPICS])
    finally:
        await admin.close()
