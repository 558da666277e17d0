"""Where the checkpoint is kept: a file of the installation, or an object in S3."""

import asyncio
from dataclasses import dataclass
from typing import Final

from lastmetre.audit.checkpoint import (
    Checkpoint,
    CheckpointUnusable,
    read_checkpoint,
    written_checkpoint,
)
from lastmetre.cli.endpoints import FILE
from lastmetre.cli.object_store import open_store, read_object, store_errors, write_object
from lastmetre.cli.profile import Installation

VARIABLE: Final = "LASTMETRE_AUDIT_CHECKPOINT"
_CHECKPOINT: Final = "audit-checkpoint.json"


@dataclass(frozen=True)
class CheckpointPlace:
    """A path, or `s3://BUCKET/NAME`."""

    location: str
    installation: Installation

    def read(self) -> Checkpoint:
        """Raises CheckpointUnusable where none can be used, Trouble without access."""
        return read_checkpoint(asyncio.run(self._read()))

    async def _read(self) -> bytes:
        folder, name = self._parts()
        with store_errors(self.location):
            store = open_store(folder, self.installation, make=True)
            document = await read_object(store, name)
        if document is None:
            raise CheckpointUnusable(f"there is no checkpoint yet ({self.location})")
        return document

    def write(self, checkpoint: Checkpoint) -> None:
        """Replace the one that is there, in one step."""
        asyncio.run(self._write(written_checkpoint(checkpoint)))

    async def _write(self, document: bytes) -> None:
        folder, name = self._parts()
        with store_errors(self.location):
            store = open_store(folder, self.installation, make=True)
            await write_object(store, name, document)

    def _parts(self) -> tuple[str, str]:
        folder, _, name = self.location.rpartition("/")
        return folder or ".", name


def checkpoint_place(found: Installation) -> CheckpointPlace | None:
    """What LASTMETRE_AUDIT_CHECKPOINT names, or that of a development stack; None without."""
    if named := found.find(VARIABLE):
        return CheckpointPlace(named, found)
    if found.stack_home is None or not (found.stack_home / FILE).exists():
        return None
    return CheckpointPlace(str(found.stack_home / _CHECKPOINT), found)
