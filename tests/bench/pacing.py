"""Lifecycles at a steady rate, each report posted to intake's edge by itself: how long until the
lead has his message?

    python -m tests.bench.pacing

Reads `REPORTS A_SECOND LEAVE_OUT` from its stdin and answers with a line of JSON. The rate is kept
by schedule: a report counts from the moment when it was due, also if the edge was slow to take the
ones before. The first LEAVE_OUT reports do not count. Leads act on what is dispatched to them as
fast as they see it, as in the other runs.
"""

import asyncio
import json
import math
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import uvloop
from aiokafka import AIOKafkaConsumer, ConsumerRecord

from tests.bench.driver import CASE_EVENTS, DELIVERIES, Driver, report_body
from tests.bench.http11 import Client

CONNECTIONS: Final = 64
GRACE_SECONDS: Final = 30.0
TO_LEAD: Final = b'"recipient":"lead"'


class Pacing(Driver):
    """A driver whose reports go through the edge when they are due."""

    reads = (CASE_EVENTS, DELIVERIES)

    def __init__(self, count: int, rate: float, leave_out: int) -> None:
        super().__init__(count)
        self.rate = rate
        self.leave_out = leave_out
        self.statuses: Counter[str] = Counter()
        self.answered = asyncio.Event()
        self.due: dict[bytes, float] = {}
        self.milliseconds: list[float] = []

    async def join(self) -> AIOKafkaConsumer:
        """Connect to the edge, too."""
        self.client = Client(
            os.environ["BENCH_INTAKE_URL"],
            "/channels/hotline/reports",
            {"X-API-Key": os.environ["BENCH_CHANNEL_KEY"]},
        )
        await self.client.connect(CONNECTIONS)
        return await super().join()

    async def feed(self) -> None:
        """Post each report when it is due."""
        clock, wall = time.monotonic(), time.time()
        for index in range(self.count):
            wait = clock + index / self.rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            source_id = f"bench-{self.run}-{index}"
            trace = f"00-{self.run}{index:024x}-{index + 1:016x}-01"
            self.due[trace.encode()] = wall + index / self.rate
            body = report_body(source_id, datetime.now(UTC).isoformat())
            self.client.ask(self.client.request(body, trace), self.on_answer)
        self.fed_seconds = time.monotonic() - clock
        await self.answered.wait()
        self.client.close()
        # What was not taken cannot come to an end.
        self.count = self.statuses["202"]
        with suppress(TimeoutError):
            await asyncio.wait_for(self.through.wait(), GRACE_SECONDS)
        self.through.set()

    def on_answer(self, status: str, _: bytes) -> None:
        """The edge has answered."""
        self.statuses[status] += 1
        if self.statuses.total() == self.count:
            self.answered.set()

    def told(self, deliveries: Sequence[ConsumerRecord[Any, Any]]) -> None:
        """Match messages with reports by the trace, which no service changes."""
        for record in deliveries:
            if record.value is None or TO_LEAD not in record.value:
                continue
            trace = next((value for name, value in record.headers if name == "traceparent"), b"")
            due = self.due.pop(trace, None)
            if due is not None and int(trace[11:35], 16) >= self.leave_out:
                # The broker's clock is ours: when the result was appended to its topic.
                self.milliseconds.append(record.timestamp - due * 1000)

    def result(self) -> dict[str, object]:
        """What came of it; latencies in milliseconds."""
        ordered = sorted(self.milliseconds)
        return {
            "reports": len(ordered),
            "p50": quantile(ordered, 0.5),
            "p95": quantile(ordered, 0.95),
            "p99": quantile(ordered, 0.99),
            "largest": quantile(ordered, 1),
            "unanswered": len(self.due),
            "statuses": dict(self.statuses),
            "achieved_rate": self.statuses.total() / self.fed_seconds,
        }


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that so large a share of the others does not exceed; 0 of none."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else 0.0


def main() -> None:
    """Until stdin ends."""
    for line in sys.stdin:
        count, rate, leave_out = line.split()
        pacing = Pacing(int(count), float(rate), int(leave_out))
        driven = uvloop.run(pacing.drive())
        print(json.dumps(pacing.result() | {"cpu_seconds": driven["cpu_seconds"]}), flush=True)


if __name__ == "__main__":
    main()
