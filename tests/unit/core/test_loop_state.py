"""A loop is silent only while it neither works nor waits."""

import asyncio

from lastmetre.common.kafka.loop_state import LoopState
from tests.simulation.clock import run_virtually


def test_silence_is_counted_from_the_last_sign_of_life() -> None:
    async def live() -> list[tuple[float, str | None]]:
        state = LoopState()
        seen = [(state.silent_seconds(), state.waiting_for)]
        await asyncio.sleep(500)
        seen.append((state.silent_seconds(), state.waiting_for))
        for sign in (state.works, lambda: state.waits("Kafka"), state.works, state.ended):
            sign()
            await asyncio.sleep(130)
            seen.append((state.silent_seconds(), state.waiting_for))
        return seen

    assert run_virtually(live()) == [
        (0.0, None),  # before the first sign
        (0.0, None),
        (130.0, None),  # works
        (130.0, "Kafka"),  # waits, and has not looked again
        (130.0, None),
        (0.0, None),  # ended
    ]
