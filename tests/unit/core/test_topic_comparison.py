"""What asks for the ids of topics beside the polls."""

import asyncio
import gc
from collections.abc import Mapping
from typing import cast
from uuid import UUID

from lastmetre.common.kafka.ports import BrokerError, ConsumerClient
from lastmetre.common.kafka.topic_comparison import COMPARE_SECONDS, TopicComparison
from tests.simulation.clock import run_virtually
from tests.simulation.virtual_loop import VirtualLoop


class _Refusing:
    async def topic_ids(self) -> Mapping[str, UUID]:
        raise BrokerError("no answer")


def test_a_question_that_fails_after_its_asker_has_gone_is_no_forgotten_error() -> None:
    """Seed 350238 of the simulation: a process that died had one on its way."""

    async def main() -> None:
        comparison = TopicComparison()
        await asyncio.sleep(COMPARE_SECONDS)
        assert await comparison.answer(cast("ConsumerClient", _Refusing())) == {}
        del comparison
        await asyncio.sleep(1)
        gc.collect()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        assert loop.unhandled == []

    run_virtually(main())


def test_a_question_that_fails_is_asked_again() -> None:
    async def main() -> None:
        comparison = TopicComparison()
        await asyncio.sleep(COMPARE_SECONDS)
        client = cast("ConsumerClient", _Refusing())
        assert await comparison.answer(client) == {}
        await asyncio.sleep(0)
        assert await comparison.answer(client) == {}, "refused"
        await asyncio.sleep(COMPARE_SECONDS)
        assert await comparison.answer(client) == {}
        await comparison.end()

    run_virtually(main())
