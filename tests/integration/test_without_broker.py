"""A process whose broker is away all the time ends with 0 if nothing is left, else it says so."""

import asyncpg
import httpx
import pytest

from lastmetre.common.contracts.topics import dead_letter_topic
from lastmetre.common.kafka.codec import OutboxMessage, packed
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.migrate import migrate
from lastmetre.common.postgres.outbox_table import append_outbox
from tests.support.city import MetricsAlone, eventually

NO_BROKER = "127.0.0.1:1"


@pytest.mark.parametrize("left", [0, 1])
async def test_it_ends_in_order_unless_something_is_left(
    metrics_city: MetricsAlone, left: int
) -> None:
    await migrate(metrics_city.database_url, ("common.runtime",))
    connection = await asyncpg.connect(metrics_city.database_url)
    topic = dead_letter_topic("metrics")
    await append_outbox(
        connection, batches_of([OutboxMessage(topic, b"key", packed({}), b"body")] * left)
    )
    await connection.close()
    process = await metrics_city.launch(KAFKA_BOOTSTRAP_SERVERS=NO_BROKER)

    async def relay_waits() -> bool:
        try:
            return any("relay: waiting" in each for each in await process.missing())
        except httpx.TransportError:
            return False

    await eventually(relay_waits, seconds=90)
    assert await process.end() == left
    assert await metrics_city.value("SELECT count(*) FROM outbox") == left
