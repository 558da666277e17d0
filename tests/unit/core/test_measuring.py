"""What is said of a database that neither answers nor refuses."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, cast

from prometheus_client import REGISTRY

from lastmetre.common.outbox.relay import Relay
from lastmetre.common.service.measuring import Measuring, SeenEnds, measure_process
from tests.simulation.clock import run_virtually

ANSWERS_AGAIN_SECONDS = 60.0


class _Database:
    """Takes the first question, and answers nobody until a minute has passed."""

    def __init__(self, connection: object) -> None:
        self._connection = connection
        self.questions = 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[object]:
        self.questions += 1
        if self.questions == 2:
            await asyncio.sleep(ANSWERS_AGAIN_SECONDS)
        yield self._connection


class _NothingInIt:
    async def fetchrow(self, *_: object) -> Any:
        return (0, None)

    async def fetchval(self, *_: object) -> Any:
        return 0

    async def fetch(self, *_: object) -> list[Any]:
        return []


def _failing() -> float | None:
    labels = {"service": "silent", "check": "database"}
    return REGISTRY.get_sample_value("lastmetre_check_failing", labels)


def test_a_silent_database_is_told_while_its_answer_is_waited_for() -> None:
    async def main() -> None:
        database = _Database(_NothingInIt())
        measuring = Measuring(
            "silent",
            cast("Any", database),
            Relay(
                service="silent", open_session=cast("Any", None), connect=cast("Any", None),
                lasting=frozenset(), random=Random(1),
            ),
            {},
            cast("Any", None),
        )  # fmt: skip

        def checks() -> dict[str, list[str]]:
            return {"database": [error] if (error := measuring.database.missing) else []}

        tasks = [
            asyncio.create_task(measuring.tables()),
            asyncio.create_task(measure_process("silent", checks, {})),
        ]
        await asyncio.sleep(3)
        assert (database.questions, measuring.database.missing) == (2, None)
        assert _failing() == 0
        await asyncio.sleep(17)
        assert measuring.database.missing == "no answer for 20 s"
        assert _failing() == 1
        await asyncio.sleep(ANSWERS_AGAIN_SECONDS)
        assert measuring.database.missing is None
        assert _failing() == 0
        for each in tasks:
            each.cancel()

    run_virtually(main())


def test_the_oldest_record_waits_since_it_was_first_seen() -> None:
    seen = SeenEnds()
    assert seen.waiting_seconds(now=100, end=5, position=5) == 0
    assert seen.waiting_seconds(now=102, end=8, position=5) == 0
    assert seen.waiting_seconds(now=104, end=9, position=5) == 2
    assert seen.waiting_seconds(now=106, end=9, position=8) == 2  # of the record seen at 104
    assert seen.waiting_seconds(now=108, end=9, position=9) == 0


def test_a_topic_made_anew_has_no_old_records() -> None:
    seen = SeenEnds()
    seen.waiting_seconds(now=100, end=1000, position=900)
    assert seen.waiting_seconds(now=500, end=3, position=0) == 0
    assert seen.waiting_seconds(now=510, end=3, position=0) == 10


def test_a_partition_that_nobody_reads_for_long_takes_no_room_and_keeps_its_age() -> None:
    seen = SeenEnds()
    waited = [seen.waiting_seconds(now=at, end=at + 1, position=0) for at in range(100_000)]
    assert waited[-1] == 99_999
    assert sys.getsizeof(seen.__dict__["_seen"]) < 2_000
