"""The ledger as files: parts, each a run of one partition's records, and a manifest of them.

A part is written before the manifest that names it, under a name that says what it holds: what was
cut off in the middle leaves a file that nobody asks for. A part of the same name is the same file.
"""

import gzip
import hashlib
import zlib
from collections.abc import AsyncIterator, Sequence
from typing import Final, Literal

from obstore.store import ObjectStore
from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from lastmetre.cli.checked_document import DocumentDamaged, checked_content, checked_document
from lastmetre.cli.console import Trouble
from lastmetre.cli.ledger.records import KeptRecord, RecordUnreadable, read_all
from lastmetre.cli.object_store import read_object, store_errors, write_object
from lastmetre.common.contracts.topics import CASE_EVENTS, PARTITIONS

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1
PART_BYTES: Final = 16 * 1024 * 1024
"""Of records, before they are compressed."""


class ArchiveDamaged(Trouble):
    """A part is not there, or not what the manifest says."""


class Part(BaseModel):
    """One file: records of a partition from `first_offset` to below `next_offset`."""

    model_config = ConfigDict(frozen=True)

    partition: NonNegativeInt
    first_offset: NonNegativeInt
    next_offset: NonNegativeInt
    records: NonNegativeInt
    sha256: str

    @property
    def name(self) -> str:
        """Where it is; no two contents have the same one."""
        run = f"{self.first_offset:020}-{self.next_offset:020}"
        return f"{CASE_EVENTS}/{self.partition:02}/{run}.jsonl.gz"


class Manifest(BaseModel):
    """What has been written, in order. `topic_id` is Kafka's, None of a broker that has none."""

    format: Literal[1] = FORMAT
    topic: Literal["case.events"] = "case.events"
    topic_id: str | None = None
    partitions: Literal[12] = PARTITIONS
    parts: list[Part] = []

    def of(self, partition: int) -> list[Part]:
        """The parts of one partition."""
        return [each for each in self.parts if each.partition == partition]

    def next_offset(self, partition: int) -> int:
        """Up to where that partition has been written."""
        return max((each.next_offset for each in self.of(partition)), default=0)

    @property
    def records(self) -> int:
        """Of all parts."""
        return sum(each.records for each in self.parts)


class Archive:
    """The files in one folder, or below one prefix of a bucket."""

    def __init__(self, store: ObjectStore, location: str) -> None:
        self._store = store
        self.location = location

    async def manifest(self) -> Manifest | None:
        """What has been written so far; None where nothing has. Raises ArchiveDamaged."""
        with store_errors(self.location):
            document = await read_object(self._store, MANIFEST)
        if document is None:
            return None
        try:
            return Manifest.model_validate(checked_content(document))
        except DocumentDamaged as error:
            raise ArchiveDamaged(
                f"{self.location}/{MANIFEST}: {error}.", "export the whole ledger to another place."
            ) from error
        except ValidationError as error:
            raise ArchiveDamaged(
                f"{self.location}/{MANIFEST} is of another format.",
                "a build that wrote it can read it.",
            ) from error

    async def keep_manifest(self, manifest: Manifest) -> None:
        """Name the parts that are there now, all at once."""
        document = checked_document(manifest.model_dump(mode="json"))
        with store_errors(self.location):
            await write_object(self._store, MANIFEST, document)

    async def keep_part(
        self, partition: int, first_offset: int, next_offset: int, records: Sequence[bytes]
    ) -> Part:
        """Write a part of these lines."""
        # The time in a gzip header would make the same records another file.
        content = gzip.compress(b"".join(records), mtime=0)
        part = Part(
            partition=partition,
            first_offset=first_offset,
            next_offset=next_offset,
            records=len(records),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        with store_errors(self.location):
            await write_object(self._store, part.name, content)
        return part

    async def records(self, part: Part) -> Sequence[KeptRecord]:
        """What a part holds, checked against the manifest. Raises ArchiveDamaged."""
        with store_errors(self.location):
            content = await read_object(self._store, part.name)
        if content is None:
            raise self._damaged(part, "is not there")
        if hashlib.sha256(content).hexdigest() != part.sha256:
            raise self._damaged(part, "is not what was written: its checksum is another one")
        try:
            found = read_all(gzip.decompress(content))
        except (OSError, EOFError, zlib.error, RecordUnreadable) as error:
            raise self._damaged(part, str(error)) from error
        offsets = [each.offset for each in found]
        within = not found or part.first_offset <= offsets[0] <= offsets[-1] < part.next_offset
        if len(found) != part.records or not within or sorted(set(offsets)) != offsets:
            raise self._damaged(part, "holds other records than its name says")
        return found

    async def parts(self, manifest: Manifest) -> AsyncIterator[tuple[Part, Sequence[KeptRecord]]]:
        """Every part with its records, a partition after the other. Raises ArchiveDamaged."""
        for partition in range(PARTITIONS):
            next_offset = 0
            for part in manifest.of(partition):
                if part.first_offset != next_offset:
                    raise self._damaged(part, f"does not go on from {next_offset}")
                yield part, await self.records(part)
                next_offset = part.next_offset

    def _damaged(self, part: Part, what: str) -> ArchiveDamaged:
        return ArchiveDamaged(
            f"{self.location}/{part.name} {what}.",
            "while the topic is there: export to another place. Else: another copy of the file.",
        )
