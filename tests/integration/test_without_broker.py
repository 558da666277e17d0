"""A process whose broker is away all the time ends with 0 if nothing is left, else it says so."""

import asyncio
import sys

import asyncpg
import httpx
import pytest

from lastmetre.common.contracts.topics import dead_letter_topic
from lastmetre.common.kafka.codec import OutboxMessage, packed
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.migrate import migrate
from lastmetre.common.postgres.outbox_table import append_outbox
from lastmetre.common.security.callers import Role
from tests.integration.intake_city import eventually
from tests.integration.metrics_city import Metrics

NO_BROKER = "127.0.0.1:1"


@pytest.mark.parametrize("left", [0, 1])
async def test_it_ends_in_order_unless_something_is_left(metrics_city: Metrics, left: int) -> None:
    metrics_city.bootstrap, bootstrap = NO_BROKER, metrics_city.bootstrap
    environment = metrics_city.environment
    metrics_city.bootstrap = bootstrap
    await migrate(metrics_city.database_url, ("common.runtime",))
    connection = await asyncpg.connect(metrics_city.database_url)
    topic = dead_letter_topic("metrics")
    await append_outbox(
        connection, batches_of([OutboxMessage(topic, b"key", packed({}), b"body")] * left)
    )
    await connection.close()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "lastmetre.metrics", env=environment, stderr=asyncio.subprocess.PIPE
    )

    async def relay_waits() -> bool:
        async with metrics_city.client(Role.SUPERVISOR) as client:
            try:
                answer = await client.get("/readyz?all")
            except httpx.TransportError:
                return False
        return "relay: waiting" in answer.text

    await eventually(relay_waits, 90)
    process.terminate()
    _, log = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == left, log.decode()
    assert (b"messages are left in the outbox" in log) == bool(left)
