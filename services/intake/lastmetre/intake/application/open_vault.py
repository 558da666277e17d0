"""Opens rows of the vault: one that is damaged keeps nobody else's from being opened."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar
from uuid import UUID

import structlog

from lastmetre.common.telemetry import metrics
from lastmetre.intake.adapters.postgres import sealed as store
from lastmetre.intake.adapters.vault_cipher import NAMED, CannotOpen, Vault

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

log = structlog.get_logger()

LOOKED_AT: Final = 20
"""Other rows that tell whether a key is the right one."""

Owner = TypeVar("Owner", bound=UUID | str)


def belongs_to(owner: UUID | str) -> bytes:
    """What a sealed value is bound to: a report, or a lead by his id."""
    return owner.bytes if isinstance(owner, UUID) else b"lead\0" + owner.encode()


async def opened(
    connection: "Connection", vault: Vault, rows: Mapping[Owner, bytes]
) -> tuple[dict[Owner, bytes], list[Owner]]:
    """What these rows hold, and those that are damaged, which is logged and counted.

    Raises CannotOpen where it is not the row that is at fault but a key that is not here: then
    nobody's contact is taken for lost.
    """
    bodies: dict[Owner, bytes] = {}
    failed: dict[Owner, CannotOpen] = {}
    for owner, sealed in rows.items():
        try:
            bodies[owner] = vault.open(sealed, belongs_to(owner))
        except CannotOpen as error:
            failed[owner] = error
    for owner, failure in failed.items():
        if not failure.key_is_known:
            at_fault = [rows[each] for each in failed] if failure.key is None else [rows[owner]]
            if await _key_is_missing(connection, vault, failure.key, at_fault):
                raise failure
        kind = "report" if isinstance(owner, UUID) else "lead"
        metrics.VAULT_DAMAGED.labels(kind).inc()
        log.error("a row of the vault is damaged", kind=kind, id=str(owner))
    return bodies, list(failed)


async def _key_is_missing(
    connection: "Connection", vault: Vault, key: bytes | None, at_fault: Sequence[bytes]
) -> bool:
    """Whether it is not these rows that are at fault: others name that key, too; or, where they
    name none, no other such row can be opened either."""
    if key is not None:
        return await store.begins_so(connection, NAMED + key, at_fault)
    others = await store.beginning_otherwise(connection, NAMED, at_fault, LOOKED_AT)
    return not any(_opens(vault, owner, sealed) for owner, sealed in others)


def _opens(vault: Vault, owner: UUID | str, sealed: bytes) -> bool:
    try:
        vault.open(sealed, belongs_to(owner))
    except CannotOpen:
        return False
    return True
