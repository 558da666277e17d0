"""Seals anew, with the present key, what an old one sealed: then the old one can be forgotten."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lastmetre.intake.adapters.postgres import sealed as store
from lastmetre.intake.adapters.postgres.sealed import CONFLICTS, SealedColumn, SealedValue
from lastmetre.intake.adapters.vault_cipher import (
    DEAD_LETTER,
    CannotOpen,
    Vault,
    conflict_of,
    open_conflict,
)
from lastmetre.intake.application.open_vault import belongs_to

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

ROWS_AT_ONCE: Final = 500


@dataclass(slots=True)
class Resealed:
    """What became of the values of one column."""

    values: int = 0
    current: int = 0
    sealed_anew: int = 0
    changed_meanwhile: int = 0
    damaged: int = 0
    """Not to be opened with any key that is here."""

    @property
    def done(self) -> bool:
        """Whether nothing of an old key is left."""
        return self.values == self.current + self.sealed_anew


@dataclass(slots=True)
class Outcome:
    """The columns, and what became of each."""

    dry_run: bool
    columns: dict[str, Resealed] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether old keys can be forgotten; in a dry run, whether they could be afterwards."""
        each = self.columns.values()
        return not any(one.damaged for one in each) and (
            self.dry_run or all(one.done for one in each)
        )

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "ok": self.ok,
            "dry_run": self.dry_run,
            "columns": {
                name: {
                    "values": each.values,
                    "current": each.current,
                    "sealed_anew": each.sealed_anew,
                    "changed_meanwhile": each.changed_meanwhile,
                    "damaged": each.damaged,
                }
                for name, each in self.columns.items()
            },
        }


async def reseal(
    reading: "Connection", writing: "Connection", vault: Vault, *, dry_run: bool
) -> Outcome:
    """Go through every column; may be interrupted and repeated, and intake may run.

    `reading` and `writing` are two connections to one database. A value that somebody changes
    meanwhile is left to the next run.
    """
    outcome = Outcome(dry_run)
    for column in store.COLUMNS:
        counted = outcome.columns[f"{column.table}.{column.column}"] = Resealed()
        waiting: list[tuple[SealedValue, bytes]] = []
        async with reading.transaction(isolation="repeatable_read", readonly=True):
            async for value in store.values(reading, column):
                counted.values += 1
                if vault.is_current(value.sealed):
                    counted.current += 1
                    continue
                try:
                    waiting.append((value, _anew(vault, column, value)))
                except CannotOpen:
                    counted.damaged += 1
                if len(waiting) == ROWS_AT_ONCE:
                    await _write(writing, column, waiting, counted, dry_run=dry_run)
                    waiting = []
            if waiting:
                await _write(writing, column, waiting, counted, dry_run=dry_run)
    return outcome


def _anew(vault: Vault, column: SealedColumn, value: SealedValue) -> bytes:
    owner = value.owner
    if owner is None:
        return vault.seal(vault.open(value.sealed, DEAD_LETTER), DEAD_LETTER)
    if column is CONFLICTS:
        assert isinstance(owner, UUID)
        return vault.seal(open_conflict(vault, value.sealed, owner), conflict_of(owner))
    bound = belongs_to(owner)
    return vault.seal(vault.open(value.sealed, bound), bound)


async def _write(
    writing: "Connection",
    column: SealedColumn,
    waiting: list[tuple[SealedValue, bytes]],
    counted: Resealed,
    *,
    dry_run: bool,
) -> None:
    replaced = len(waiting) if dry_run else await store.replace(writing, column, waiting)
    counted.sealed_anew += replaced
    counted.changed_meanwhile += len(waiting) - replaced
