"""The stream of a progress page: the version, its beat, and how many streams there may be."""

import asyncio
from collections.abc import Sequence

import pytest
from fastapi import Request
from fastapi.sse import ServerSentEvent

from lastmetre.common.web.live_changes import LOOK_EVERY_SECONDS, CannotTell, LiveChanges
from lastmetre.common.web.live_events import BEAT_SECONDS
from lastmetre.common.web.problems import Problem
from lastmetre.intake.entrypoints.web.live import LONGEST, OF_ONE_CLIENT, ProgressEvents
from tests.simulation.clock import VirtualClock, run_virtually

REPORT = b"identity"
UNTIL = LONGEST.total_seconds()
REQUEST = Request({"type": "http", "state": {"principal": None}})
"""By a link: nobody is signed in."""


class Database:
    """What is found at each look, one after the other, the last one for ever."""

    def __init__(self, *versions: str) -> None:
        self._versions = list(versions)

    async def look(self, _: Sequence[bytes]) -> dict[bytes, str]:
        version = self._versions[0]
        if len(self._versions) > 1:
            del self._versions[0]
        if version == "away":
            raise CannotTell from ConnectionRefusedError()
        return {REPORT: version}


async def told(*versions: str) -> list[ServerSentEvent]:
    """All events of a stream, while a database says this."""
    changes = LiveChanges(Database(*versions).look)
    running = asyncio.create_task(changes.run())
    events = ProgressEvents(changes, VirtualClock(), most=1)
    found = [each async for each in events.of(REQUEST, REPORT, "one")]
    running.cancel()
    return found


def test_each_version_is_told_until_nobody_can_tell() -> None:
    events = run_virtually(told("1", "2", "2", "3", "away"))
    assert [(each.event, each.raw_data) for each in events if each.event != "beat"] == [
        ("version", "1"), ("version", "2"), ("version", "3"),
    ]  # fmt: skip


def test_it_beats_and_ends_after_a_time_by_itself() -> None:
    events = run_virtually(told("1"))
    assert [each.raw_data for each in events if each.event == "version"] == ["1"]
    beats = [each for each in events if each.event == "beat"]
    assert 0 <= len(beats) - UNTIL / BEAT_SECONDS <= LOOK_EVERY_SECONDS


def test_no_more_streams_than_there_may_be_and_a_place_is_free_again() -> None:
    async def scenario() -> None:
        changes = LiveChanges(Database("1").look)
        running = asyncio.create_task(changes.run())
        events = ProgressEvents(changes, VirtualClock(), most=OF_ONE_CLIENT + 2)
        mine = [events.of(REQUEST, REPORT, "one") for _ in range(OF_ONE_CLIENT)]
        for each in mine:
            events.admit("one")
            await anext(each)
        with pytest.raises(Problem) as mine_are_too_many:
            events.admit("one")
        assert mine_are_too_many.value.status == 429
        others = [events.of(REQUEST, REPORT, f"other {n}") for n in range(2)]
        for each in others:
            events.admit("another")
            await anext(each)
        with pytest.raises(Problem) as all_are_too_many:
            events.admit("yet another")
        assert all_are_too_many.value.status == 503
        await mine[0].aclose()
        events.admit("yet another")
        events.admit("one")
        for each in (*mine, *others):
            await each.aclose()
        running.cancel()

    run_virtually(scenario())
