"""Catching up at the start: as soon as database and broker answer, one process at a time."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import structlog

from lastmetre.common.contracts.topics import LASTING
from lastmetre.common.outbox.catching_up import Adopt, CatchingUp, LogBehind
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.postgres.core_tables import TABLES
from lastmetre.common.postgres.database import PostgresDatabase
from lastmetre.common.postgres.locks import service_lock
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.kafka_clients import KafkaClients

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

log = structlog.get_logger()

RETRY_SECONDS: Final = 0.5


async def catch_up_when_up(
    pool: "Pool",
    kafka: KafkaClients,
    adopt: Mapping[str, Adopt],
    *,
    unit_of_work: Callable[[Any], UnitOfWork],
    clock: Clock,
    waits: Callable[[str], None],
) -> None:
    """Catch up with the own topics, those of `adopt`; waits as long as it takes, whatever fails.

    `waits` is told what for.
    """
    said = None
    while adopt:
        try:
            async with service_lock(pool), kafka.open_log(adopt) as reader:
                await CatchingUp(
                    database=PostgresDatabase(pool),
                    tables=TABLES,
                    reader=reader,
                    connect=kafka.producer,
                    adopt=adopt,
                    lasting=LASTING,
                    unit_of_work=unit_of_work,
                    clock=clock,
                ).run()
            return
        except Exception as error:
            waits(f"catching up waits: {type(error).__name__}")
            if said is not type(error):
                known = isinstance(error, LogBehind)
                log.error("catching up waits", error=f"{type(error).__name__}: {error}",
                          exc_info=None if known else error)  # fmt: skip
            said = type(error)
            await asyncio.sleep(RETRY_SECONDS)
