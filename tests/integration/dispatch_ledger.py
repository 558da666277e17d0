"""Dispatch's database alone: its handlers called directly, its outbox read as the log."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from lastmetre.common.contracts.base import Actor, ActorRole, Channel, Language, Origin, Position
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import LocalName, PublishedLead
from lastmetre.common.contracts.reports import ReportAccepted
from lastmetre.common.contracts.requests import Action, ActionRequested, FeedbackGiven
from lastmetre.common.contracts.topics import CASE_EVENTS, FIELD_OUTCOMES
from lastmetre.common.kafka.codec import ConsumedRecord, kafka_headers
from lastmetre.common.outbox.unit_of_work import NoCipher, UnitOfWork
from lastmetre.common.postgres.core_tables import TABLES
from lastmetre.common.postgres.database import create_pool, server_settings
from lastmetre.common.postgres.migrate import migrate
from lastmetre.common.service.ids import IdGenerator, derived_uuid7
from lastmetre.dispatch.adapters.postgres.results import CommandResult
from lastmetre.dispatch.application.adopt_log import adopt_events, adopt_outcomes
from lastmetre.dispatch.application.execute_commands import execute_all
from lastmetre.dispatch.application.register_reports import Registrar
from lastmetre.dispatch.application.reserve_numbers import NumberReservations
from lastmetre.dispatch.domain.commands import Command
from lastmetre.dispatch.domain.network import Area, Network
from tests.support.city import TRACE

NOW: Final = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
RING: Final = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
NAME: Final = LocalName(zh="王", en="Wang")
NETWORK: Final = Network(
    3,
    [
        Area(
            "A0",
            NAME,
            None,
            {"type": "Polygon", "coordinates": [RING]},
            PublishedLead(lead_id="L0", name=NAME, post=NAME),
        )
    ],
)


def report(count: int, **facts: Any) -> ReportAccepted:
    """An accepted report, as intake derives its id."""
    return ReportAccepted.model_validate(
        {
            "report_id": derived_uuid7(int(NOW.timestamp() * 1000), b"report", bytes([count])),
            "channel": Channel.APP,
            "origin": Origin.LIVE,
            "category": "matter:06010",
            "reported_at": NOW,
            "received_at": NOW,
            "position": Position(latitude=0.5, longitude=0.5),
            "reporter_reachable": True,
            "language": Language.CHINESE,
            **facts,
        }
    )


def action(
    case_id: UUID, what: Action, action_id: int, lead: str | None = "L0", **facts: Any
) -> ActionRequested:
    """An action of a lead; without one, of the command centre."""
    role = ActorRole.LEAD if lead else ActorRole.OPERATOR
    return ActionRequested(
        case_id=case_id,
        action_id=UUID(int=action_id),
        action=what,
        actor=Actor(role=role, id=lead or "operator"),
        occurred_at=NOW,
        **facts,
    )


def feedback(case_id: UUID, closing: int, feedback_id: int, *, reopen: bool) -> FeedbackGiven:
    """A rating; `reopen` says that nothing was solved."""
    return FeedbackGiven(
        case_id=case_id,
        feedback_id=UUID(int=feedback_id),
        closing=closing,
        solved=not reopen,
        score=1 if reopen else 5,
        reopen=reopen,
        occurred_at=NOW,
    )


class DispatchProcess:
    """One process of dispatch, without a consumer: what a batch does, in one transaction."""

    def __init__(
        self, pool: "asyncpg.Pool[asyncpg.Record]", numbers: "asyncpg.Pool[asyncpg.Record]"
    ) -> None:
        self.pool = pool
        self.registrar = Registrar(
            NumberReservations(lambda: numbers, lambda below: 7), ZoneInfo("Asia/Shanghai")
        )

    @asynccontextmanager
    async def batch(self, **settings: str) -> AsyncIterator[UnitOfWork]:
        """A batch's transaction; committed on leaving."""
        async with self.pool.acquire() as connection:
            async with connection.transaction():
                for name, value in settings.items():
                    await connection.execute(f"SET LOCAL {name} = '{value}'")
                work = UnitOfWork(
                    connection,
                    TABLES,
                    service="dispatch",
                    consumer="requests",
                    now=NOW,
                    cipher=NoCipher(),
                )
                yield work
                await work.flush()
            work.committed()

    async def register(self, *reports: ReportAccepted) -> list[Case]:
        """Register, as a batch of its own."""
        async with self.batch() as work:
            return await self.registrar.register_all(work, NETWORK, [(r, TRACE) for r in reports])

    async def ask(self, *requests: ActionRequested | FeedbackGiven) -> list[CommandResult]:
        """Execute, as a batch of its own."""
        async with self.batch() as work:
            results = await execute_all(work, NETWORK, [Command(r, TRACE) for r in requests])
            return [each for each in results if each is not None]

    async def adopt(self, records: Sequence[ConsumedRecord]) -> int:
        """Take in records of both topics."""
        async with self.batch() as work:
            events = [each for each in records if each.topic == CASE_EVENTS]
            outcomes = [each for each in records if each.topic == FIELD_OUTCOMES]
            return await adopt_events(work, events) + await adopt_outcomes(work, outcomes)

    async def log(self) -> list[ConsumedRecord]:
        """What the relay would have sent, in its order."""
        rows = await self.pool.fetch("SELECT * FROM outbox ORDER BY id")
        offsets: Counter[tuple[str, int]] = Counter()
        records: list[ConsumedRecord] = []
        for row in rows:
            place = row["topic"], row["partition"]
            for key, headers, body in zip(row["keys"], row["headers"], row["bodies"], strict=True):
                pairs = kafka_headers(headers)
                records.append(ConsumedRecord(*place, offsets[place], 0, key, body, pairs))
                offsets[place] += 1
        return records

    async def rows(self, statement: str) -> list[tuple[object, ...]]:
        """Rows as tuples."""
        return [tuple(row) for row in await self.pool.fetch(statement)]


@asynccontextmanager
async def dispatch_process(dsn: str) -> AsyncIterator[DispatchProcess]:
    """A process on a migrated database."""
    await migrate(dsn, ("common.runtime", "dispatch"))
    pool = await create_pool(dsn, size=10, settings=server_settings("dispatch"))
    numbers = await create_pool(dsn, size=5, settings=server_settings("dispatch"))
    try:
        yield DispatchProcess(pool, numbers)
    finally:
        await asyncio.wait_for(asyncio.gather(pool.close(), numbers.close()), 10)


def new_id() -> int:
    """For a request."""
    return IdGenerator().uuid7(NOW).int
