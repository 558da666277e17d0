"""Seals anew, with the present key, what an old one sealed: then the old one can be forgotten."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from lastmetre.intake.adapters.postgres import sealed as store
from lastmetre.intake.adapters.postgres.sealed import CODES, CONFLICTS, SealedColumn, SealedValue
from lastmetre.intake.adapters.vault_cipher import (
    CannotOpen,
    Vault,
    conflict_of,
    dead_letter_of,
    open_conflict,
    open_dead_letter,
)
from lastmetre.intake.application.open_vault import belongs_to
from lastmetre.intake.domain.staff_users import codes_of

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


class ResealVault:
    """Goes through every column. `reading` and `writing` are two connections to one database."""

    def __init__(
        self, reading: "Connection", writing: "Connection", vault: Vault, *, dry_run: bool
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._vault = vault
        self._dry_run = dry_run

    async def __call__(self) -> Outcome:
        """May be interrupted and repeated, and intake may run: a value that somebody changes
        meanwhile is left to the next run."""
        outcome = Outcome(self._dry_run)
        for column in store.COLUMNS:
            counted = outcome.columns[f"{column.table}.{column.column}"] = Resealed()
            async with self._reading.transaction(isolation="repeatable_read", readonly=True):
                await self._reseal(column, counted)
        return outcome

    async def _reseal(self, column: SealedColumn, counted: Resealed) -> None:
        waiting: list[tuple[SealedValue, bytes]] = []
        async for value in store.values(self._reading, column):
            counted.values += 1
            bound = _bound_to(column, value)
            if self._is_current(value, bound):
                counted.current += 1
                continue
            try:
                body = _opened(self._vault, column, value, bound)
            except CannotOpen:
                counted.damaged += 1
            else:
                waiting.append((value, self._vault.seal(body, bound)))
            if len(waiting) == ROWS_AT_ONCE:
                await self._write(column, waiting, counted)
                waiting = []
        if waiting:
            await self._write(column, waiting, counted)

    def _is_current(self, value: SealedValue, bound: bytes) -> bool:
        """Whether it has the present key, and is bound as values are today."""
        if not self._vault.is_current(value.sealed):
            return False
        try:
            self._vault.open(value.sealed, bound)
        except CannotOpen:
            return False
        return True

    async def _write(
        self, column: SealedColumn, waiting: list[tuple[SealedValue, bytes]], counted: Resealed
    ) -> None:
        replaced = len(waiting)
        if not self._dry_run:
            replaced = await store.replace(self._writing, column, waiting)
        counted.sealed_anew += replaced
        counted.changed_meanwhile += len(waiting) - replaced


def _bound_to(column: SealedColumn, value: SealedValue) -> bytes:
    owner = value.owner
    if isinstance(owner, list):
        topic, *place = owner
        return dead_letter_of(topic, *map(int, place))
    if column is CONFLICTS:
        assert isinstance(owner, UUID)
        return conflict_of(owner)
    if column is CODES:
        assert isinstance(owner, str)
        return codes_of(owner)
    return belongs_to(owner)


def _opened(vault: Vault, column: SealedColumn, value: SealedValue, bound: bytes) -> bytes:
    """What is sealed there, bound as today or as before. Raises CannotOpen."""
    if isinstance(value.owner, list):
        return open_dead_letter(vault, value.sealed, bound)
    if column is CONFLICTS:
        assert isinstance(value.owner, UUID)
        return open_conflict(vault, value.sealed, value.owner)
    return vault.open(value.sealed, bound)
