"""What the relay sends, as spans."""

from collections.abc import Sequence

from lastmetre.common.kafka.codec import packed_traceparent
from lastmetre.common.kafka.ports import Acknowledgement, ProducerClient, TopicPartition
from lastmetre.common.telemetry.traces import KAFKA_SEND, TRACES


class TracedProducer:
    """A `ProducerClient` whose batches are spans: in each record's trace, since when it was on its
    way to Kafka and when it was acknowledged."""

    def __init__(self, producer: ProducerClient) -> None:
        self._producer = producer

    async def send(
        self, partition: TopicPartition, records: Sequence[tuple[bytes, bytes, bytes | None]]
    ) -> Acknowledgement:
        """The producer's answer, and its errors."""
        contexts = (packed_traceparent(headers) for _, headers, _ in records)
        with TRACES.batch(f"send {partition.topic}", "producer", contexts, KAFKA_SEND):
            return await self._producer.send(partition, records)

    async def close(self) -> None:
        """Close the producer."""
        await self._producer.close()
