"""What catching up with its own topics costs dispatch before it begins (`CatchingUp`)."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FIELD_OUTCOMES,
    LASTING,
    NETWORK_AREAS,
)
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.outbox.catching_up import Adopt, CatchingUp, CaughtUp
from lastmetre.common.outbox.unit_of_work import NoCipher, UnitOfWork
from lastmetre.common.postgres.core_tables import TABLES
from lastmetre.common.postgres.database import PostgresDatabase, create_pool, server_settings
from lastmetre.common.service.clock import RealClock
from lastmetre.common.service.kafka_clients import KafkaClients
from lastmetre.dispatch.application.adopt_log import adopt_areas, adopt_events, adopt_outcomes
from tests.bench.figures import Spread, Starting
from tests.bench.ground import Plot

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Pool

ADOPT: Final[Mapping[str, Adopt]] = {
    CASE_EVENTS: adopt_events,
    FIELD_OUTCOMES: adopt_outcomes,
    NETWORK_AREAS: adopt_areas,
}
TIMES: Final = 5


async def starting(bootstrap: str, plot: Plot) -> Starting:
    """Catch up with what the platform has left in this plot; its services have ended."""
    clients = KafkaClients("dispatch", KafkaAccess.plaintext(bootstrap), plot.prefix)
    pool = await create_pool(
        plot.databases["dispatch"], size=2, settings=server_settings("dispatch")
    )
    try:
        nothing = [(await _caught_up(clients, pool))[0] for _ in range(TIMES)]
        # As after an upgrade from a build that noted nothing: every record is read, and known.
        await pool.execute("TRUNCATE outbox_acknowledged")
        known_seconds, known = await _caught_up(clients, pool)
        # As of a database that was lost whole.
        await pool.execute('TRUNCATE outbox_acknowledged, "case", ledger, answer, day_number')
        unknown_seconds, unknown = await _caught_up(clients, pool)
    finally:
        await pool.close()
        await clients.close()
    return Starting(
        Spread.of([seconds * 1000 for seconds in nothing]),
        known.read / known_seconds,
        unknown.read / unknown_seconds,
        unknown.adopted,
    )


async def _caught_up(clients: KafkaClients, pool: "Pool") -> tuple[float, CaughtUp]:
    """How many seconds it took, connecting included."""
    began = time.monotonic()
    async with clients.open_log(ADOPT) as reader:
        found = await CatchingUp(
            database=PostgresDatabase(pool),
            tables=TABLES,
            reader=reader,
            connect=clients.producer,
            adopt=ADOPT,
            lasting=LASTING,
            unit_of_work=lambda connection: UnitOfWork(
                connection,
                TABLES,
                service="dispatch",
                consumer="log",
                now=datetime.now(UTC),
                cipher=NoCipher(),
            ),
            clock=RealClock(),
        ).run()
    return time.monotonic() - began, found
