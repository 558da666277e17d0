"""Posts reports to intake's edge as fast as it takes them, over kept connections.

    python -m tests.bench.accepting

Reads `REQUESTS REPORTS_A_REQUEST CONNECTIONS` from its stdin, a line each time, says `ready` once
the requests are made, begins at the next line, and answers with a line of JSON: seconds, CPU
seconds of this process, and how often each status came.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from datetime import UTC, datetime

import uvloop

from tests.bench.driver import report_body
from tests.bench.http11 import Client

ALL_TAKEN = b'"refused":0,'


class Accepting:
    """Keeps every connection busy until all requests are answered."""

    def __init__(self, requests: int, each: int, connections: int) -> None:
        self._requests = requests
        self._each = each
        self._connections = connections
        self._statuses: Counter[str] = Counter()
        self._through = asyncio.Event()

    async def run(self) -> dict[str, object]:
        """Post them all."""
        client = Client(
            os.environ["BENCH_INTAKE_URL"],
            "/channels/hotline/reports",
            {"X-API-Key": os.environ["BENCH_CHANNEL_KEY"]},
        )
        await client.connect(self._connections)
        requests = [client.request(body) for body in self._bodies()]
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        started, cpu = time.monotonic(), time.process_time()
        for request in requests:
            client.ask(request, self._answered)
        await self._through.wait()
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
        client.close()
        return {"seconds": seconds, "cpu_seconds": cpu, "statuses": dict(self._statuses)}

    def _bodies(self) -> list[bytes]:
        run, now = os.urandom(4).hex(), datetime.now(UTC).isoformat()
        reports = [report_body(f"{run}-{i}", now) for i in range(self._requests * self._each)]
        if self._each == 1:
            return reports
        starts = range(0, len(reports), self._each)
        return [b"[" + b",".join(reports[s : s + self._each]) + b"]" for s in starts]

    def _answered(self, status: str, body: bytes) -> None:
        if self._each > 1 and status == "202" and ALL_TAKEN not in body:
            status = "202, but some refused"
        self._statuses[status] += 1
        if self._statuses.total() == self._requests:
            self._through.set()


def main() -> None:
    """Until stdin ends."""
    while line := sys.stdin.readline():
        requests, each, connections = map(int, line.split())
        print(json.dumps(uvloop.run(Accepting(requests, each, connections).run())), flush=True)


if __name__ == "__main__":
    main()
