"""What intake has trimmed is gone from the broker's disk, not from its answers alone."""

import asyncio
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from lastmetre.devstack import Stack
from tests.support.city import IntakeAlone, eventually

pytestmark = pytest.mark.slow

PHONE = "13812345678"


def on_disk(stack: Stack, topic: str) -> bool:
    """Whether a file of the topic's partitions has the phone."""
    folders = (stack.home.data / "kafka").glob(f"{topic}-*")
    files: list[Path] = [file for folder in folders for file in folder.glob("*.log*")]
    assert files
    return any(PHONE.encode() in file.read_bytes() for file in files if file.exists())


async def test_a_trimmed_report_is_readable_on_no_disk(
    stack: Stack, intake_city: IntakeAlone
) -> None:
    async with intake_city.running() as city:
        topic = f"{city.prefix}channels.app"
        admin = AIOKafkaAdminClient(bootstrap_servers=city.bootstrap)
        await admin.start()
        try:
            # An hour in earnest.
            short = ConfigResource(ConfigResourceType.TOPIC, topic, {"segment.ms": "100"})
            await admin.alter_configs([short])
        finally:
            await admin.close()
        running = await city.start(
            INTAKE_TRIM_AFTER_SECONDS="0",
            INTAKE_BACKUP_INTERVAL_SECONDS="0",
            INTAKE_TRIM_EVERY_SECONDS="0.2",
        )
        async with running.client() as client:

            async def send(**more: object) -> None:
                answer = await client.post(
                    "/channels/app/reports",
                    json={"source_id": "the same partition", "text": "路灯", **more},
                    headers=city.credentials.channel("app"),
                )
                assert answer.status_code == 202

            await send(contact={"phone": PHONE})
            assert on_disk(stack, topic)

            async def trimmed() -> bool:
                return sum((await city.earliest()).values()) >= 1

            await eventually(trimmed)
            # The next report begins a new file, and the broker looks every ten seconds.
            await send()

            async def gone() -> bool:
                return not await asyncio.to_thread(on_disk, stack, topic)

            await eventually(gone)
