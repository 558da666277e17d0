"""An in-memory store with transactions: row locks, read committed, and what goes wrong."""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from lastmetre.common.kafka.failures import DatabaseWentBack
from tests.simulation.world import Machine, World

LOCK_SECONDS: Final = 10.0

Rows = dict[Hashable, Any]


class UnforeseenError(Exception):
    """Of a class that nobody has ever seen a database raise."""


UNLISTED: Final[tuple[Callable[[], Exception], ...]] = (
    lambda: asyncpg.ReadOnlySQLTransactionError("read-only"),
    lambda: asyncpg.InvalidPasswordError("password"),
    lambda: asyncpg.InsufficientPrivilegeError("privilege"),
    lambda: asyncpg.UndefinedTableError("table"),
    lambda: asyncpg.PostgresIOError("disk"),
    lambda: asyncpg.InterfaceError("interface"),
    lambda: asyncpg.ConnectionDoesNotExistError("gone"),
    lambda: TimeoutError("slow"),
    lambda: ConnectionRefusedError("refused"),
    lambda: UnforeseenError("unforeseen"),
)


@dataclass
class Trouble:
    """How often the store does wrong, while a fault lasts."""

    at_connect: float = 0.0
    at_statement: float = 0.0
    before_commit: float = 0.0
    after_commit: float = 0.0
    kind: int | None = None


class Store:
    """One service's database."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.tables: dict[str, Rows] = {}
        self.past = 0
        """Another number after each time that it went back."""
        self.trouble = Trouble()
        self.last_id = 0
        self.locks: dict[Hashable, Connection] = {}
        self.released = asyncio.Event()
        self.on_commit: Callable[[Connection], None] = lambda _: None

    def table(self, name: str) -> Rows:
        """The committed rows."""
        return self.tables.setdefault(name, {})

    def snapshot(self) -> tuple[dict[str, Rows], int]:
        """As it stands now."""
        return {name: dict(rows) for name, rows in self.tables.items()}, self.last_id

    def restore(self, snapshot: tuple[dict[str, Rows], int]) -> None:
        """Go back in time. Every connection is cut, every lock released."""
        self.tables = {name: dict(rows) for name, rows in snapshot[0].items()}
        self.last_id = snapshot[1]
        self.past += 1
        self.locks.clear()
        self.wake()

    def wake(self) -> None:
        """Locks were released."""
        self.released.set()
        self.released = asyncio.Event()

    def error(self) -> Exception:
        """One of those that a database may raise."""
        if self.trouble.kind is not None:
            return UNLISTED[self.trouble.kind % len(UNLISTED)]()
        return self.world.random.choice(UNLISTED)()

    def may(self, probability: float) -> None:
        """Raise, now and then."""
        if probability and self.world.random.random() < probability:
            raise self.error()


class Connection:
    """A session: what it wrote is seen by others from its commit on."""

    def __init__(self, store: Store, machine: Machine) -> None:
        self.store = store
        self.machine = machine
        self.past = store.past
        self.cut = False
        self.writes: dict[str, Rows] = {}
        self._held: list[Hashable] = []

    async def statement(self) -> None:
        """The way to the server and back."""
        await self.machine.hop()
        if self.cut or self.past != self.store.past:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed")
        self.store.may(self.store.trouble.at_statement)

    async def lock(self, row: Hashable) -> None:
        """SELECT FOR UPDATE: waits for another transaction, then sees what it did."""
        deadline = asyncio.get_running_loop().time() + LOCK_SECONDS
        while self.store.locks.get(row, self) is not self:
            left = deadline - asyncio.get_running_loop().time()
            try:
                await asyncio.wait_for(self.store.released.wait(), max(left, 0.001))
            except TimeoutError:
                raise asyncpg.LockNotAvailableError("lock timeout") from None
            await self.statement()
        self.store.locks[row] = self
        self._held.append(row)

    def try_lock(self, row: Hashable) -> bool:
        """An advisory lock, if nobody else has it."""
        if self.store.locks.get(row, self) is not self:
            return False
        self.store.locks[row] = self
        self._held.append(row)
        return True

    def unlock(self, row: Hashable) -> None:
        """Give one up."""
        if self.store.locks.get(row) is self:
            del self.store.locks[row]
            self.store.wake()

    def get(self, table: str, key: Hashable) -> Any:
        """A row as this transaction sees it, None if there is none."""
        written = self.writes.get(table)
        if written is not None and key in written:
            return written[key]
        return self.store.table(table).get(key)

    def rows(self, table: str) -> Rows:
        """All rows as this transaction sees them."""
        seen = {**self.store.table(table), **self.writes.get(table, {})}
        return {key: row for key, row in seen.items() if row is not None}

    def put(self, table: str, key: Hashable, row: Any) -> None:
        """Insert, update; None deletes."""
        self.writes.setdefault(table, {})[key] = row

    async def commit(self) -> None:
        """May take effect though an error is raised."""
        await self.statement()
        self.store.may(self.store.trouble.before_commit)
        for name, rows in self.writes.items():
            table = self.store.table(name)
            for key, row in rows.items():
                if row is None:
                    table.pop(key, None)
                else:
                    table[key] = row
        self.store.on_commit(self)
        self.end()
        self.store.may(self.store.trouble.after_commit)
        await self.machine.hop()

    def end(self) -> None:
        """Roll back what was not committed, and release every lock."""
        self.writes = {}
        for row in self._held:
            if self.store.locks.get(row) is self:
                del self.store.locks[row]
        self._held.clear()
        self.store.wake()


class SimulatedDatabase:
    """The core's `Database` for one process, which ends at once when its server went back."""

    def __init__(self, store: Store, machine: Machine) -> None:
        self._store = store
        self._machine = machine
        self._first: int | None = None
        self.open: list[Connection] = []

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A session of its own; its end rolls back."""
        await self._machine.hop()
        self._store.may(self._store.trouble.at_connect)
        if self._first is None:
            self._first = self._store.past
        elif self._first != self._store.past:
            self._machine.world.tell("the database went back", process=self._machine.name)
            self._machine.die()
            raise DatabaseWentBack("another past")
        connection = Connection(self._store, self._machine)
        self.open.append(connection)
        try:
            yield connection
        finally:
            if connection in self.open:
                self.open.remove(connection)
            connection.end()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Commits at the end of the block."""
        async with self.connection() as connection:
            yield connection
            await connection.commit()

    def cut(self) -> None:
        """Every session of the process is lost; the server rolls back."""
        for connection in self.open:
            connection.cut = True
            connection.end()
