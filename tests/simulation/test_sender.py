"""Notify's sender, with queue, providers and vault in memory, under faults that a seed draws."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import asyncpg
import pytest

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres.sending import Attempted
from tests.support.virtual_time import in_virtual_time
from tests.unit.notify.memory_queue import results
from tests.unit.notify.sending_world import World, everybody

ERRORS = (
    asyncpg.RaiseError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InterfaceError,
    asyncpg.NumericValueOutOfRangeError,
    TimeoutError,
    ConnectionResetError,
)
SENT, FAILED = DeliveryResult.SENT, DeliveryResult.FAILED


@pytest.mark.parametrize("seed", range(60))
def test_whatever_fails_each_claimed_message_ends_in_one_result(seed: int) -> None:
    """Any statement may fail before or after it took effect; providers raise, the vault is away,
    the process is killed or told to stop, at any moment."""

    async def trial() -> None:
        world = World(seed)
        world.puts_off, world.provider_bug = 0.1, 0.05
        world.ask(everybody(15), (2, 3))
        faults = True

        def fault(name: str, _: Sequence[Attempted]) -> tuple[BaseException, bool] | None:
            if not faults or world.random.random() > 0.1:
                return None
            return world.random.choice(ERRORS)(f"{name} fails"), world.random.random() < 0.5

        world.queue.fault = fault
        killed = 0
        for _ in range(12):
            task = asyncio.create_task(world.sender().run())
            for _ in range(world.random.randrange(6)):
                await asyncio.sleep(world.random.random() / 2)
                world.vault.away = world.random.random() < 0.2
            task.cancel()
            if world.random.random() < 0.5:
                killed += 1
                await asyncio.sleep(0)
                task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        faults = world.vault.away = False
        async with world.sending():
            await world.done()
        assert results(world.queue).total() == 15 * 2 * 3
        ends = {key: found[0] for key, found in world.queue.ends.items()}
        assert not world.twice()
        out = {*world.phone.out, *world.mail.out}
        for key, end in ends.items():
            if end.outcome.result is SENT:
                assert key in out
            elif end.outcome.result is FAILED:
                assert key not in out, end
            else:
                assert end.provider == "mail"

    in_virtual_time(trial())
