"""Pages that wait for changes: one look for all, and no claim of being live without one."""

import asyncio
from collections.abc import Sequence

import pytest

from lastmetre.common.web.live_changes import LOOK_EVERY_SECONDS, CannotTell, LiveChanges
from tests.simulation.clock import run_virtually

BEAT = 5 * LOOK_EVERY_SECONDS


class Database:
    """What there is to look at; `asked` are the looks."""

    def __init__(self) -> None:
        self.versions = {"a": "1", "b": "1"}
        self.away = False
        self.asked: list[list[str]] = []

    async def look(self, keys: Sequence[str]) -> dict[str, str]:
        self.asked.append(sorted(keys))
        if self.away:
            raise CannotTell from ConnectionRefusedError()
        return {key: self.versions[key] for key in keys}


def test_one_look_a_second_for_all_that_wait_and_none_for_nobody() -> None:
    async def scenario() -> None:
        database = Database()
        changes = LiveChanges(database.look)
        running = asyncio.create_task(changes.run())
        await asyncio.sleep(9.5 * LOOK_EVERY_SECONDS)
        assert database.asked == []
        pages = [asyncio.create_task(changes.after(key, "1", BEAT)) for key in "aab"]
        await asyncio.sleep(2 * LOOK_EVERY_SECONDS)
        assert database.asked == [["a", "b"]] * 2
        database.versions["a"] = "2"
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        assert [each.done() for each in pages] == [True, True, False]
        assert await asyncio.gather(*pages) == ["2", "2", "1"]
        looks = len(database.asked)
        await asyncio.sleep(10 * LOOK_EVERY_SECONDS)
        assert len(database.asked) == looks
        running.cancel()

    run_virtually(scenario())


def test_a_page_hears_what_it_has_not_seen() -> None:
    async def scenario() -> None:
        changes = LiveChanges(Database().look)
        running = asyncio.create_task(changes.run())
        assert await changes.after("a", None, BEAT) == "1"
        assert await changes.after("a", "0", BEAT) == "1"
        began = asyncio.get_running_loop().time()
        assert await changes.after("a", "1", BEAT) == "1"
        assert asyncio.get_running_loop().time() - began == BEAT
        running.cancel()

    run_virtually(scenario())


def test_nobody_is_live_while_nobody_can_tell() -> None:
    async def scenario() -> None:
        database = Database()
        changes = LiveChanges(database.look)
        running = asyncio.create_task(changes.run())
        database.away = True
        for seen in ("1", None):
            with pytest.raises(CannotTell):
                await changes.after("a", seen, BEAT)
        database.away = False
        assert await changes.after("a", None, BEAT) == "1"
        running.cancel()

    run_virtually(scenario())


def test_a_page_that_has_seen_nothing_is_told_so() -> None:
    """No look was made: the process is still starting."""

    async def scenario() -> None:
        with pytest.raises(CannotTell):
            await LiveChanges(Database().look).after("a", None, BEAT)

    run_virtually(scenario())


def test_at_the_end_nobody_waits() -> None:
    async def scenario() -> None:
        changes = LiveChanges(Database().look)
        pages = [asyncio.create_task(changes.after(key, "1", BEAT)) for key in "ab"]
        await asyncio.sleep(0)
        began = asyncio.get_running_loop().time()
        changes.end()
        ended = await asyncio.gather(*pages, return_exceptions=True)
        assert [type(each) for each in ended] == [CannotTell, CannotTell]
        with pytest.raises(CannotTell):
            await changes.after("a", "1", BEAT)
        assert asyncio.get_running_loop().time() == began

    run_virtually(scenario())
