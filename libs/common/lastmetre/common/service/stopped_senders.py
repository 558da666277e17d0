"""Senders that were stopped for their dead letters: listed, and released by their own service."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from lastmetre.common.kafka.codec import UnknownEventType
from lastmetre.common.kafka.dead_letter_limit import Sender
from lastmetre.common.kafka.sender_release import NotStopped, Portion, SenderRelease, StillBad
from lastmetre.common.postgres.core_tables import TABLES
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS, PostgresDatabase
from lastmetre.common.postgres.stopped_sender_table import every_stopped_sender
from lastmetre.common.security.access import GuardedRoute, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.service.dead_letters import consumer_named
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_

if TYPE_CHECKING:
    from lastmetre.common.service.host import ServiceHost


WITHOUT_NUL: Final = r"^[^\x00]*$"


class Release(BaseModel):
    """Which sender is to be released. `accept_dead_letters`: though most records are still bad."""

    model_config = ConfigDict(extra="forbid")

    consumer: str
    topic: Annotated[str, Field(pattern=WITHOUT_NUL)]
    partition: Annotated[int, Field(ge=0, lt=2**31)]
    source: Annotated[str, Field(max_length=200, pattern=WITHOUT_NUL)]
    accept_dead_letters: bool = False
    dry_run: bool = False


class StoppedSenderListed(BaseModel):
    """A sender of which no more is handled, since when and why, and the records held back."""

    consumer: str
    topic: str
    partition: int
    source: str
    stopped_at: datetime
    reason: str | None
    held_back: int


class Released(BaseModel):
    """What one request handled of a sender's records; `released` where nothing was left."""

    handled: int
    dead_letters: int
    released: bool
    dry_run: bool


def stopped_sender_router(host: "ServiceHost") -> APIRouter:
    """List and release; what is released may be written to anybody, so administrators only."""
    router = APIRouter(
        prefix=f"/api/{host.name}/v1/stopped-senders",
        route_class=GuardedRoute,
        tags=["stopped senders"],
    )

    @router.get("", dependencies=allow(Role.ADMINISTRATOR))
    async def stopped_senders() -> list[StoppedSenderListed]:
        """Every sender that was stopped, and how much of it is held back."""
        async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            stopped = await every_stopped_sender(connection)
        return [
            StoppedSenderListed(
                consumer=each.consumer,
                topic=each.sender.topic,
                partition=each.sender.partition,
                source=each.sender.source,
                stopped_at=each.stopped_at,
                reason=each.reason,
                held_back=each.held_back,
            )
            for each in stopped
        ]

    @router.post("/release", dependencies=allow(Role.ADMINISTRATOR))
    async def release_sender(release: Release) -> Released:
        """Handle the next of the records that are held back; the sender is released with the last
        one, so this is to be repeated until the answer says `released`."""
        portion = await _release(host, release)
        return Released(
            handled=portion.handled,
            dead_letters=portion.dead_letters,
            released=portion.released,
            dry_run=release.dry_run,
        )

    return router


async def _release(host: "ServiceHost", asked: Release) -> Portion:
    consumer = consumer_named(host, asked.consumer)
    try:
        portion = await SenderRelease(
            consumer.name,
            consumer.handle,
            Sender(asked.topic, asked.partition, asked.source),
            database=PostgresDatabase(host.pool),
            tables=TABLES,
            unit_of_work=lambda connection: host.unit_of_work(connection, consumer.name),
            cipher=host.cipher,
        ).portion(accept_dead_letters=asked.accept_dead_letters, dry_run=asked.dry_run)
    except NotStopped as error:
        raise Problem(404, "about:blank", N_("There is nothing here")) from error
    except (StillBad, UnknownEventType) as error:
        kind = "still-bad" if isinstance(error, StillBad) else "too-old"
        raise Problem(
            422,
            f"/problems/{kind}",
            N_("It still cannot be handled"),
            extra={"reason": str(error)},
        ) from error
    host.relay.wake()
    return portion
