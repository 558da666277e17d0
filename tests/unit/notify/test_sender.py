"""The sender with queue, providers and vault in memory: each message ends once, whatever fails."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest

from lastmetre.common.contracts.deliveries import DeliveryResult
from lastmetre.notify.adapters.postgres.sending import Attempted, Key
from lastmetre.notify.application import sender as sender_module
from lastmetre.notify.application.result_committer import SILENT_SECONDS
from lastmetre.notify.application.sender import CLOSE_SECONDS, DRAIN_SECONDS
from lastmetre.notify.domain.provider import OutboundMessage, Outcome
from tests.support.virtual_time import in_virtual_time
from tests.unit.notify.memory_queue import results
from tests.unit.notify.sending_world import (
    BY_MAIL,
    FakeMail,
    FakeProvider,
    World,
    everybody,
)

SENT, FAILED, UNKNOWN = DeliveryResult.SENT, DeliveryResult.FAILED, DeliveryResult.UNKNOWN


def in_order(out: Sequence[Key]) -> bool:
    """Whether each reader got his messages in the order of the events; repetitions aside."""
    last: dict[UUID, int] = defaultdict(int)
    for case_id, _, seq in dict.fromkeys(out):
        if seq < last[case_id]:
            return False
        last[case_id] = seq
    return True


def test_everything_ends_once_and_in_order() -> None:
    async def trial() -> None:
        world = World()
        world.puts_off = 0.1
        world.ask(everybody(60), (2, 3, 4))
        async with world.sending():
            await world.done()
        assert results(world.queue) == {SENT: 360, FAILED: 180}
        assert len(world.phone.out) == len(world.mail.out) == 180
        assert in_order(world.phone.out)
        assert in_order(world.mail.out)
        assert world.phone.closed == world.mail.closed == 1

    in_virtual_time(trial())


def test_results_that_cannot_be_recorded_stop_the_sending(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender_module, "UNRECORDED_MOST", 200)

    async def trial() -> None:
        world = World()
        world.queue.fault = lambda name, _: (
            (asyncpg.RaiseError("no"), False) if name == "record" else None
        )
        world.ask(range(600))
        async with world.sending() as sender:
            await asyncio.sleep(60)
            went_out = len(world.phone.out)
            assert 200 <= went_out <= 200 + FakeProvider.max_in_flight < 600
            assert "RaiseError: no" in (sender.waiting_for or "")
            assert f"{went_out} wait: RaiseError: no" in sender.health()[0]
            world.queue.fault = lambda *_: None
            await world.done()
            assert (sender.waiting_for, sender.health()) == (None, [])
        assert len(world.phone.out) == 600, "nothing was sent again"
        assert results(world.queue) == {SENT: 600}

    in_virtual_time(trial())


def test_one_that_cannot_be_recorded_holds_up_only_those_behind_it() -> None:
    bad = UUID(int=7)

    async def trial() -> None:
        world = World()

        def fault(name: str, messages: Sequence[Attempted]) -> tuple[Exception, bool] | None:
            found = name == "record" and any(each.case_id == bad for each in messages)
            return (asyncpg.CheckViolationError("no"), False) if found else None

        world.queue.fault = fault
        world.ask(range(50), (2, 3))
        async with world.sending() as sender:
            await asyncio.sleep(30)
            assert {key[0] for key in world.queue.waiting} == {bad}
            assert [key for key in world.phone.out if key[0] == bad] == [(bad, "reporter", 2)]
            assert "1 results cannot be recorded: CheckViolationError" in sender.health()[0]
            world.queue.fault = lambda *_: None
            await world.done()
        assert results(world.queue) == {SENT: 100}

    in_virtual_time(trial())


def test_a_new_session_leaves_alone_what_this_process_is_sending() -> None:
    async def trial() -> None:
        world = World()
        world.call_seconds = 8.0
        world.ask(everybody(8))
        async with world.sending():
            lost = asyncpg.ConnectionDoesNotExistError(), False
            for _ in range(4):
                await asyncio.sleep(1.5)
                world.queue.fault = lambda name, _: lost if name == "due" else None
                await asyncio.sleep(0.3)
                world.queue.fault = lambda *_: None
            await world.done()
            assert world.queue.calls["connect"] > 4
        assert results(world.queue) == {SENT: 16, FAILED: 8}
        assert len(world.phone.out) == len(world.mail.out) == 8

    in_virtual_time(trial())


def test_what_is_waited_for_is_said() -> None:
    async def trial() -> None:
        world = World()
        world.vault.away = True
        world.ask([1])
        async with world.sending() as sender:
            await asyncio.sleep(1)
            assert (sender.waiting_for, sender.health()) == ("vault: HTTP 503", [])
            await asyncio.sleep(SILENT_SECONDS)
            assert sender.health() == ["sender: messages wait for the vault: HTTP 503"]
            assert world.queue.calls["claim"] == 0
            world.vault.away = False
            await world.done()
            assert sender.health() == []
            world.queue.fault = lambda name, _: (
                (asyncpg.InvalidPasswordError("no"), False)
                if name in ("balance", "connect")
                else None
            )
            await asyncio.sleep(1 + 1 + SILENT_SECONDS)
            assert "for the database: InvalidPasswordError" in sender.health()[0]
            world.queue.fault = lambda *_: None
            await asyncio.sleep(1)
            assert (sender.waiting_for, sender.health()) == (None, [])

    in_virtual_time(trial())


def test_what_waits_too_long_is_given_up_once() -> None:
    async def trial() -> None:
        world = World()
        world.expire_after = timedelta(seconds=20)
        world.puts_off = 1.0
        world.ask(range(700))
        async with world.sending():
            await world.done()
        assert results(world.queue) == {FAILED: 700}
        errors = {end.outcome.error for [end] in world.queue.ends.values()}
        assert errors == {"expired"}
        assert world.phone.out == []

    in_virtual_time(trial())


@pytest.mark.parametrize("where", ["due", "claim"])
def test_an_error_of_our_own_ends_the_process_loudly(where: str) -> None:
    async def trial() -> None:
        world = World()
        world.ask(range(20))
        sender = world.sender()
        world.queue.fault = lambda name, _: (LookupError(where), False) if name == where else None
        with pytest.RaisesGroup(pytest.RaisesExc(LookupError, match=where)):
            await asyncio.wait_for(sender.run(), 5)
        assert world.phone.closed == 1

    in_virtual_time(trial())


class WrongNumber(FakeMail):
    """Answers for one message more than it was given."""

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        return [*await super().send(messages), Outcome(SENT)]


def test_a_provider_that_miscounts_is_not_believed() -> None:
    async def trial() -> None:
        world = World()
        world.mail = WrongNumber(world)
        world.ask([BY_MAIL])
        async with world.sending():
            await world.done()
        assert results(world.queue) == {UNKNOWN: 1}

    in_virtual_time(trial())


class Talkative(FakeMail):
    """Fails with an error that quotes an address."""

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        raise LookupError(messages[0].address)


def test_l8_what_a_providers_error_quotes_is_neither_kept_nor_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def trial() -> None:
        world = World()
        world.mail = Talkative(world)
        world.ask([BY_MAIL])
        async with world.sending():
            await world.done()
        [[end]] = world.queue.ends.values()
        assert end.outcome == Outcome(UNKNOWN, "LookupError")

    in_virtual_time(trial())
    said = capsys.readouterr()
    assert "LookupError" in said.out + said.err, "that it failed is said"
    assert "a@b.invalid" not in said.out + said.err


# --- stopping ---------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0.0, 0.002, 0.01, 0.05, 0.2, 0.5])
def test_told_to_stop_it_leaves_nothing_open(after: float) -> None:
    async def trial() -> None:
        world = World()
        world.call_seconds = 2.0
        world.ask(everybody(200))
        async with world.sending():
            await asyncio.sleep(after)
        claimed = [row for row in world.queue.waiting.values() if row.sending_by]
        assert claimed == []
        assert len(world.phone.out) + len(world.mail.out) == results(world.queue)[SENT]

    in_virtual_time(trial())


@pytest.mark.parametrize("hurried", [False, True])
def test_stopping_ends_in_time_whatever_is_away(hurried: bool) -> None:
    async def trial() -> None:
        world = World()
        world.ask(range(100))
        sender = world.sender()
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(0.05)
        world.queue.fault = lambda *_: (OSError(), False)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        task.cancel()
        if hurried:
            await asyncio.sleep(1)
            task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        took = asyncio.get_running_loop().time() - began
        assert took <= (1 if hurried else DRAIN_SECONDS) + CLOSE_SECONDS
        assert [row for row in world.queue.waiting.values() if row.sending_by]
        world.queue.fault = lambda *_: None
        async with world.sending():
            await world.done()
        assert results(world.queue) == {SENT: 100}

    in_virtual_time(trial())
