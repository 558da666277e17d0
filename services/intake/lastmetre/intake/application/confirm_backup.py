"""What a backup brings back of the channels: asked before it begins, noted once it is verified."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lastmetre.intake.adapters.postgres import confirmed_backup as store
from lastmetre.intake.application.ingest_reports import CHANNELS_FLOW
from lastmetre.intake.domain.read_position import ReadPosition

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection


class ConfirmBackup:
    """The mark that trimming waits for."""

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection

    async def read_positions(self) -> Sequence[ReadPosition]:
        """How far the channels are read now: a database that is backed up later knows all below."""
        return await store.read_positions(self._connection, CHANNELS_FLOW)

    async def __call__(
        self, name: str, begun_at: datetime, positions: Sequence[ReadPosition]
    ) -> bool:
        """Note a verified backup that was begun then, with the positions that were read before.

        False, and nothing is noted, where a younger one is confirmed already.
        """
        async with self._connection.transaction():
            return await store.confirm(
                self._connection, name, begun_at, positions, datetime.now(UTC)
            )
