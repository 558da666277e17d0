"""The floor: the platform's messages, rows and guarantees in one bare aiokafka + asyncpg program.

    python -m tests.bench.floor intake|dispatch|notify|metrics

No FastStream, no pydantic, no pages, no encryption, no checks of what it reads. What it keeps is
what costs in any language: each batch one transaction with its position, every record through an
outbox that a relay empties in order with one unacknowledged batch a partition, case rows locked in
key order, messages claimed before and settled after they are sent. Tables are the services' own.
"""

import asyncio
import sys
from functools import partial

import uvloop

from tests.bench.floor.dispatch import dispatch_requests
from tests.bench.floor.intake import intake_cases, intake_channels
from tests.bench.floor.metrics import metrics_cases, metrics_counted
from tests.bench.floor.notify import notify_cases, notify_send
from tests.bench.floor.runtime import Handle, Service

SENDS = {
    "intake": ["reports"],
    "dispatch": ["case.events", "field.outcomes"],
    "notify": ["notify.deliveries"],
    "metrics": [],
}
CHANNELS = ["channels.hotline", "channels.app", "channels.patrol"]


async def main(name: str) -> None:
    service = Service(name, SENDS[name])
    await service.start()
    work = [service.relaying]
    flows: list[tuple[str, list[str], Handle]]
    match name:
        case "intake":
            flows = [
                ("channels", CHANNELS, intake_channels),
                ("cases", ["case.events"], intake_cases),
            ]
        case "dispatch":
            flows = [
                ("requests", ["reports", "field.actions"], partial(dispatch_requests, service))
            ]
        case "notify":
            flows = [("cases", ["case.events"], notify_cases)]
            work.append(asyncio.create_task(notify_send(service)))
        case _:
            flows = [
                ("cases", ["case.events"], metrics_cases),
                ("counted", ["reports", "notify.deliveries"], metrics_counted),
            ]
    work += [asyncio.create_task(service.consume(*flow)) for flow in flows]
    print("ready", flush=True)
    await asyncio.gather(*work)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
