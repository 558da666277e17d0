"""The clients of a cluster of which one broker does not answer."""

import asyncio
from dataclasses import replace

import pytest

from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.clients import by_who_answers, idempotent_producer
from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port

pytestmark = pytest.mark.slow


async def test_a_frozen_broker_is_not_waited_for(stack: Stack) -> None:
    asked = asyncio.Event()
    over = asyncio.Event()

    async def takes_and_says_nothing(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked.set()
        await over.wait()
        writer.close()

    frozen = await asyncio.start_server(takes_and_says_nothing, "127.0.0.1", free_port())
    host, port = frozen.sockets[0].getsockname()
    away = f"127.0.0.1:{free_port()}"
    works = stack.endpoints.bootstrap_servers
    # No answer would ever be too late.
    access = KafkaAccess((f"{host}:{port}", away, works), request_timeout=3600.0)
    try:
        found = await by_who_answers(access, "test")
        assert asked.is_set()
        assert found == replace(access, bootstrap_servers=(works,))
        async with idempotent_producer(access, "test") as producer:
            assert await producer.client.force_metadata_update()
        nobody = KafkaAccess((away, f"127.0.0.1:{free_port()}"))
        assert await by_who_answers(nobody, "test") == nobody
    finally:
        over.set()
        frozen.close()
