"""Dead letters: what could not be handled, corrected and replayed by its own service."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import structlog
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError
from pydantic_core import from_json

from lastmetre.common.contracts.base import BYTE_ORDER_MARK
from lastmetre.common.contracts.topics import CASE_EVENTS, MESSAGE_BYTES, TOPICS
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, UnknownEventType, describe
from lastmetre.common.outbox.unit_of_work import PayloadCipher, UnitOfWork
from lastmetre.common.postgres import dead_letter_table as store
from lastmetre.common.postgres import position_table
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.postgres.dead_letter_table import DeadLetter
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.security.access import CurrentPerson, GuardedRoute, allow
from lastmetre.common.security.callers import Person, Role
from lastmetre.common.service.host import StillStarting
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_

if TYPE_CHECKING:
    from lastmetre.common.kafka.consumer import BatchConsumer
    from lastmetre.common.postgres.database import Connection
    from lastmetre.common.service.host import ServiceHost

log = structlog.get_logger()

LISTED: Final = 500
NO_ID: Final = 2**63 - 1
IDENTITY: Final = {
    topic.name: topic.key.replace(" ", "_") for topic in TOPICS if not topic.short_lived
}
"""The field of a body that its record's key repeats, by topic; not where partners choose keys."""


class Replay(BaseModel):
    """What to change before the record is handled again; nothing by default."""

    model_config = ConfigDict(extra="forbid")

    body: str | None = None
    headers: dict[str, str] | None = None
    dry_run: bool = False

    @property
    def changes(self) -> bool:
        """Whether the record is not to be handled as it came."""
        return self.body is not None or self.headers is not None


class Close(BaseModel):
    """Why a dead letter is to have no effect. It stays: nothing personal belongs there."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
    dry_run: bool = False


class DeadLetterDescribed(BaseModel):
    """Where a dead letter came from and why it could not be handled. `flow` is its consumer."""

    id: int
    flow: str
    topic: str
    partition: int
    offset: int
    error: str
    died_at: datetime
    replayed_at: datetime | None
    closed_at: datetime | None
    closed_by: str | None
    closed_reason: str | None


class DeadLetterListed(DeadLetterDescribed):
    """One of a list."""

    key: str | None
    corrected: bool


class DeadLetterShown(DeadLetterDescribed):
    """One with its record; what is no UTF-8 in it is replaced, except in `body_base64`."""

    headers: dict[str, str | None]
    body: str | None
    body_base64: str | None


class Replayed(BaseModel):
    """Whether it was handled; not by a dry run."""

    id: int
    replayed: bool


class Closed(BaseModel):
    """Whether it was closed; not by a dry run."""

    id: int
    closed: bool


class ReplayFailed(Exception):
    """The record was given up again."""


class DryRun(Exception):
    """All went well, and is to be undone."""


def dead_letter_router(host: "ServiceHost") -> APIRouter:
    """List, show and replay; the bodies may be personal data, so administrators only."""
    prefix = f"/api/{host.name}/v1/dead-letters"
    router = APIRouter(prefix=prefix, route_class=GuardedRoute, tags=["dead letters"])

    @router.get("", dependencies=allow(Role.ADMINISTRATOR))
    async def dead_letters(
        all: bool = False, before: Annotated[int, Query(ge=0, le=NO_ID)] = NO_ID
    ) -> list[DeadLetterListed]:
        """The latest before an id, those that were replayed or closed only with `all`."""
        async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            rows = await store.dead_letters(connection, with_done=all, before=before, limit=LISTED)
        return [
            DeadLetterListed.model_validate(
                {**row, "key": row["key"].decode("utf-8", "replace") if row["key"] else None}
            )
            for row in rows
        ]

    @router.get("/{letter_id}", dependencies=allow(Role.ADMINISTRATOR))
    async def dead_letter(letter_id: int) -> DeadLetterShown:
        """One with its body."""
        async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            letter = await _letter(connection, letter_id)
        return _shown(letter, host.cipher)

    @router.post(
        "/{letter_id}/replay",
        dependencies=allow(Role.ADMINISTRATOR),
        max_body_size=2 * MESSAGE_BYTES,
    )
    async def replay_dead_letter(letter_id: int, change: Replay | None = None) -> Replayed:
        """Handle it again, corrected if the body says how; parked records follow it in order."""
        change = change or Replay()
        await replay(host, letter_id, change)
        return Replayed(id=letter_id, replayed=not change.dry_run)

    @router.post("/{letter_id}/close", dependencies=allow(Role.ADMINISTRATOR))
    async def close_dead_letter(letter_id: int, decision: Close, person: CurrentPerson) -> Closed:
        """Decide that it is to have no effect: it waits for nobody any more. It can be replayed
        yet, until its record is erased."""
        await close(host, letter_id, decision, person)
        return Closed(id=letter_id, closed=not decision.dry_run)

    return router


async def close(host: "ServiceHost", letter_id: int, decision: Close, person: Person) -> None:
    """Keep that a dead letter is to have no effect, who has decided it, and why.

    Raises Problem: 404 for an unknown one, 409 where it was replayed or closed already, and for an
    event of a case, whose later ones wait for it.
    """
    async with (
        host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
        connection.transaction(),
    ):
        letter = await _letter(connection, letter_id, for_update=True)
        if letter.replayed_at is not None:
            raise Problem(409, "/problems/replayed", N_("This was replayed already"))
        if letter.closing is not None:
            raise Problem(409, "/problems/closed", N_("This was closed already"))
        if letter.record.topic == CASE_EVENTS:
            raise Problem(
                409,
                "/problems/others-wait",
                N_("Later events of this case wait for it"),
                N_("Only replaying it lets them go on."),
            )
        if not decision.dry_run:
            closing = store.Closing(datetime.now(UTC), person.actor, decision.reason)
            await store.close(connection, letter_id, closing)


async def replay(host: "ServiceHost", letter_id: int, change: Replay) -> None:
    """Handle a dead letter again, perhaps corrected; parked records follow it in order.

    Raises Problem: 404 for an unknown one, 409 where it is done already, 422 where it fails again.
    """
    try:
        async with (
            host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            letter = await _letter(connection, letter_id, for_update=True)
            if letter.replayed_at is not None:
                raise Problem(409, "/problems/replayed", N_("This was replayed already"))
            record = host.cipher.open(letter.record)
            if change.changes:
                record = _corrected(record, change)
            consumer = consumer_named(host, letter.consumer)
            # The consumer's own batches of that partition stay out, so none can park what follows.
            await position_table.lock_position(
                connection, consumer.name, record.topic, record.partition
            )
            work = host.unit_of_work(connection, consumer.name)
            await _handle(consumer, work, record)
            if work.dead_count:
                raise ReplayFailed(work.first_error)
            sealed = host.cipher.seal(record) if change.changes else None
            await store.mark_replayed(connection, letter_id, work.now, sealed)
            await work.flush()
            if change.dry_run:
                raise DryRun
    except DryRun:
        return
    except (ReplayFailed, BadRecord, UnknownEventType, ValidationError) as error:
        detail = describe(error) if isinstance(error, ValidationError) else str(error)
        raise Problem(
            422,
            "/problems/still-bad",
            N_("It still cannot be handled"),
            extra={"reason": detail},
        ) from error
    host.relay.wake()
    work.committed()


def consumer_named(host: "ServiceHost", name: str) -> "BatchConsumer":
    """The service's consumer of that name. Raises StillStarting, or Problem: there is none."""
    if not host.consumers:
        raise StillStarting
    for consumer in host.consumers:
        if consumer.name == name:
            return consumer
    raise Problem(404, "about:blank", N_("There is nothing here"))


async def _handle(consumer: "BatchConsumer", work: UnitOfWork, record: ConsumedRecord) -> None:
    try:
        await consumer.handle(work, [record])
    except (BadRecord, UnknownEventType, ValidationError, *DATABASE_ERRORS):
        raise
    except Exception as error:  # what buried it the first time may have been a mistake of ours
        log.exception("dead letter cannot be handled", consumer=consumer.name)
        raise ReplayFailed(type(error).__name__) from error


async def _letter(
    connection: "Connection", letter_id: int, *, for_update: bool = False
) -> DeadLetter:
    letter = (
        await store.dead_letter(connection, letter_id, for_update=for_update)
        if 0 < letter_id <= NO_ID
        else None
    )
    if letter is None:
        raise Problem(404, "about:blank", N_("There is nothing here"))
    return letter


def _corrected(record: ConsumedRecord, change: Replay) -> ConsumedRecord:
    """The record with what `change` replaces: the same place, key, and whatever it names."""
    headers: Sequence[tuple[str, bytes | None]] = record.headers
    if change.headers is not None:
        kept = [(k, v) for k, v in headers if k not in change.headers]
        headers = [*kept, *((k, v.encode()) for k, v in change.headers.items())]
    if change.body is None:
        return record._replace(headers=headers)
    corrected = record._replace(headers=headers, value=change.body.encode())
    _check_identity(corrected)
    return corrected


def _check_identity(record: ConsumedRecord) -> None:
    """Raise BadRecord for a body that is about another thing than the record's key says."""
    field = IDENTITY.get(record.topic)
    if field is None or record.key is None:
        return
    try:
        said = from_json((record.value or b"").removeprefix(BYTE_ORDER_MARK))[field]
    except (ValueError, KeyError, TypeError):
        return  # the handler says what is wrong with it
    if str(said).encode() != record.key:
        raise BadRecord(f"{field} is not the one that the record's key names")


def _shown(letter: DeadLetter, cipher: PayloadCipher) -> DeadLetterShown:
    record = cipher.open(letter.record)
    value = record.value
    return DeadLetterShown(
        id=letter.id,
        flow=letter.consumer,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        error=letter.error,
        died_at=letter.died_at,
        replayed_at=letter.replayed_at,
        closed_at=letter.closing and letter.closing.at,
        closed_by=letter.closing and letter.closing.by,
        closed_reason=letter.closing and letter.closing.reason,
        headers={
            key: None if each is None else each.decode("utf-8", "replace")
            for key, each in record.headers
        },
        body=None if value is None else value.decode("utf-8", "replace"),
        body_base64=None if value is None else base64.b64encode(value).decode(),
    )
