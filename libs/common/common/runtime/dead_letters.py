"""Dead letters: what could not be handled, corrected and replayed by its own service."""

import base64
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.responses import JSONResponse, Response

from common.contracts.topics import MESSAGE_BYTES
from common.runtime import store
from common.runtime.database import ACQUIRE_TIMEOUT_SECONDS
from common.runtime.records import BadRecord, Record, UnknownContract, describe
from common.runtime.store import DeadLetter
from common.web.access import GuardedRoute, Role, allow
from common.web.problems import Problem
from common.web.words import N_

if TYPE_CHECKING:
    from common.runtime.database import Connection
    from common.runtime.runtime import Runtime

LISTED = 500
Unseal = Callable[[bytes], bytes]


class Replay(BaseModel):
    """What to change before the record is handled again; nothing by default."""

    model_config = ConfigDict(extra="forbid")

    body: str | None = None
    headers: dict[str, str] | None = None
    dry_run: bool = False


class StillBad(Exception):
    """The record was given up again."""


class DryRun(Exception):
    """All went well, and is to be undone."""


def dead_letter_router(runtime: "Runtime") -> APIRouter:
    """List, show and replay; the bodies may be personal data, so administrators only."""
    prefix = f"/api/{runtime.name}/v1/dead-letters"
    router = APIRouter(prefix=prefix, route_class=GuardedRoute)

    @router.get("")
    @allow(Role.ADMINISTRATOR)
    async def listed(all: bool = False) -> Response:
        async with runtime.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            rows = await store.dead_letters(connection, with_replayed=all, limit=LISTED)
        return JSONResponse(
            [
                {
                    "id": row["id"],
                    "flow": row["flow"],
                    "topic": row["topic"],
                    "partition": row["partition"],
                    "offset": row["offset"],
                    "key": row["key"].decode("utf-8", "replace") if row["key"] else None,
                    "error": row["error"],
                    "died_at": row["died_at"].isoformat(),
                    "replayed_at": row["replayed_at"] and row["replayed_at"].isoformat(),
                }
                for row in rows
            ]
        )

    @router.get("/{letter_id}")
    @allow(Role.ADMINISTRATOR)
    async def shown(letter_id: int) -> Response:
        async with runtime.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            letter = await _letter(connection, letter_id)
        return JSONResponse(_shown(letter, runtime.sealing.open))

    @router.post("/{letter_id}/replay")
    @allow(Role.ADMINISTRATOR)
    async def replayed(letter_id: int, request: Request) -> Response:
        body = await request.body()
        if len(body) > 2 * MESSAGE_BYTES:
            raise Problem(413, "about:blank", N_("That is too much at once"))
        try:
            change = Replay.model_validate_json(body or b"{}")
        except ValidationError as error:
            raise Problem(
                422,
                "/problems/invalid",
                N_("Something in the request is not right"),
                extra={"errors": describe(error)},
            ) from error
        await replay(runtime, letter_id, change)
        return JSONResponse({"id": letter_id, "replayed": not change.dry_run})

    return router


async def replay(runtime: "Runtime", letter_id: int, change: Replay) -> None:
    """Handle a dead letter again, perhaps corrected; parked records follow it in order.

    Raises Problem: 404 for an unknown one, 409 where it is done already, 422 where it fails again.
    """
    try:
        async with (
            runtime.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection,
            connection.transaction(),
        ):
            letter = await _letter(connection, letter_id, for_update=True)
            if letter.replayed_at is not None:
                raise Problem(409, "/problems/replayed", N_("This was replayed already"))
            record = _corrected(letter.record, change, runtime.sealing.open)
            flow = next(each for each in runtime.flows if each.name == letter.flow)
            # The flow's own batches of that partition stay out, so none can park what follows.
            await store.lock_position(connection, flow.name, record.topic, record.partition)
            work = runtime.unit_of_work(connection, flow.name)
            await flow.handle(work, [record])
            if work.dead_count:
                raise StillBad(work.first_error)
            await store.mark_replayed(connection, letter_id, work.now)
            await work.flush()
            if change.dry_run:
                raise DryRun
    except DryRun:
        return
    except (StillBad, BadRecord, UnknownContract, ValidationError) as error:
        detail = describe(error) if isinstance(error, ValidationError) else str(error)
        raise Problem(
            422,
            "/problems/still-bad",
            N_("It still cannot be handled"),
            extra={"reason": detail},
        ) from error
    runtime.relay.wake()


async def _letter(
    connection: "Connection", letter_id: int, *, for_update: bool = False
) -> DeadLetter:
    letter = (
        await store.dead_letter(connection, letter_id, for_update=for_update)
        if 0 < letter_id < 2**63
        else None
    )
    if letter is None:
        raise Problem(404, "about:blank", N_("There is nothing here"))
    return letter


def _corrected(record: Record, change: Replay, unseal: Unseal) -> Record:
    value = record.value if record.value is None else unseal(record.value)
    if change.body is not None:
        value = change.body.encode()
    headers: Sequence[tuple[str, bytes | None]] = record.headers
    if change.headers is not None:
        kept = [(k, v) for k, v in headers if k not in change.headers]
        headers = [*kept, *((k, v.encode()) for k, v in change.headers.items())]
    return Record(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.key,
        value,
        headers,
    )


def _shown(letter: DeadLetter, unseal: Unseal) -> dict[str, object]:
    record = letter.record
    value = record.value if record.value is None else unseal(record.value)
    return {
        "id": letter.id,
        "flow": letter.flow,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "error": letter.error,
        "died_at": letter.died_at.isoformat(),
        "replayed_at": letter.replayed_at and letter.replayed_at.isoformat(),
        "headers": {
            key: None if each is None else each.decode("utf-8", "replace")
            for key, each in record.headers
        },
        "body": None if value is None else value.decode("utf-8", "replace"),
        "body_base64": None if value is None else base64.b64encode(value).decode(),
    }
