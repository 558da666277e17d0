"""Sharing work between the processes of a service by PostgreSQL advisory locks."""

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

_CLASS_BASE: Final = 0x4C4D_0000


class ShardLeases:
    """The shards that this process owns, a fair part of all of them.

    A lock lives as long as `connection`: whoever loses the connection owns nothing. `kind` keeps
    different uses in one database apart.
    """

    def __init__(self, connection: "Connection", kind: int, shards: Sequence[int]) -> None:
        self._connection = connection
        self._lock_class = _CLASS_BASE + 2 * kind
        self._member_class = self._lock_class + 1
        self._shards = list(shards)
        self.owned: list[int] = []
        self._leaving: list[int] = []

    async def join(self) -> None:
        """Be counted among the processes that share."""
        await self._connection.execute("SELECT pg_advisory_lock_shared($1, 0)", self._member_class)

    async def balance(self, busy: Collection[int] = ()) -> list[int]:
        """Take or give up shards until the part is fair; returns those newly taken.

        A shard to be given up is not `owned` any more, but stays locked while it is `busy`.
        """
        members: int = await self._connection.fetchval(
            "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
            " WHERE l.locktype = 'advisory' AND l.classid = $1 AND l.objid = 0 AND l.granted"
            " AND d.datname = current_database()",
            self._member_class,
        )
        fair = math.ceil(len(self._shards) / max(members, 1))
        self._leaving.extend(self.owned[fair:])
        del self.owned[fair:]
        for shard in [shard for shard in self._leaving if shard not in busy]:
            await self._connection.execute(
                "SELECT pg_advisory_unlock($1, $2)", self._lock_class, shard
            )
            self._leaving.remove(shard)
        taken: list[int] = []
        for shard in self._shards:
            if len(self.owned) + len(taken) >= fair:
                break
            if shard in self.owned or shard in self._leaving:
                continue
            if await self._connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2)", self._lock_class, shard
            ):
                taken.append(shard)
        self.owned.extend(taken)
        return taken
