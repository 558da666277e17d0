"""What an alert looks at grows while things are stuck: finding 19 of the inputs."""

from lastmetre.common.contracts.topics import dead_letter_topic
from lastmetre.common.kafka.codec import OutboxMessage, packed
from lastmetre.common.outbox.messages import batches_of
from lastmetre.common.postgres.migrate import migrate
from lastmetre.common.postgres.outbox_table import append_outbox
from tests.support.city import MetricsAlone, ServiceProcess, eventually
from tests.support.city.scenarios import World

NO_BROKER = "127.0.0.1:1"


async def until_it_says(process: ServiceProcess, name: str, expected: int) -> None:
    async def as_expected() -> bool:
        return await process.figure(name, service="metrics") == expected

    await eventually(as_expected, f"{name} of {expected}")


async def append(city: MetricsAlone, records: int) -> None:
    message = OutboxMessage(dead_letter_topic("metrics"), b"key", packed({}), b"body")
    async with city.connection() as connection:
        await append_outbox(connection, batches_of([message] * records))


async def test_the_outbox_grows_while_the_broker_is_away(metrics_city: MetricsAlone) -> None:
    await migrate(metrics_city.database_url, ("common.runtime", "metrics"))
    process = await metrics_city.launch(KAFKA_BOOTSTRAP_SERVERS=NO_BROKER)
    await process.until_it_answers()
    for records in (3, 4):
        await append(metrics_city, records)
        await until_it_says(process, "lastmetre_outbox_rows", 3 if records == 3 else 7)
    assert await process.figure("lastmetre_outbox_oldest_seconds") > 0


async def test_the_lag_grows_while_the_database_takes_nothing(metrics_city: MetricsAlone) -> None:
    process = await metrics_city.start()
    ledger = World(seed=19, size=100).ledger()
    half = len(ledger) // 2
    async with metrics_city.connection() as holder, holder.transaction():
        await holder.execute("LOCK TABLE fact IN SHARE MODE")
        await metrics_city.tell(*ledger[:half])
        await until_it_says(process, "lastmetre_consumer_lag_records", half)
        await metrics_city.tell(*ledger[half:])
        await until_it_says(process, "lastmetre_consumer_lag_records", len(ledger))
    await until_it_says(process, "lastmetre_consumer_lag_records", 0)
