"""What a backup says of itself: when, of which versions, and every file with its checksum."""

from datetime import datetime
from pathlib import Path
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from lastmetre.cli.console import Trouble

FILE: Final = "manifest.json"
POSTGRESQL: Final = "postgresql"
KAFKA: Final = "kafka"
SECRETS: Final = "secrets.age"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Part):
    """A file: its size in bytes and SHA-256 in hexadecimal digits."""

    size: int
    sha256: str


class ReadPosition(_Part):
    """How far intake had read a channel's partition when the backup was begun."""

    topic: str
    partition: int
    next_offset: int
    topic_id: str | None


class PostgresqlPart(_Part):
    """The base backup. `timeline` and positions in the log (LSN) are PostgreSQL's."""

    version: str
    system_identifier: int
    timeline: int
    first_lsn: str
    last_lsn: str


class Kept(NamedTuple):
    """The offsets of a partition that are in the copy: from `first` to below `after`."""

    first: int
    after: int


class KafkaPart(_Part):
    """The copy of the topics: it has what was acknowledged before `cut_at`."""

    cluster_id: str
    cut_at: datetime
    partitions: dict[str, Kept]


class SecretsPart(_Part):
    """The sealed secrets: the names of their files, and whose key opens them."""

    recipient: str
    names: list[str]


class Manifest(_Part):
    """A whole backup. All times are UTC."""

    layout: Literal[1] = 1
    name: str
    begun_at: datetime
    verified_at: datetime
    lastmetre: str
    postgresql: PostgresqlPart
    kafka: KafkaPart | None
    secrets: SecretsPart | None
    read_positions: list[ReadPosition]
    files: dict[str, FileEntry]

    @property
    def size(self) -> int:
        """Bytes, all files."""
        return sum(each.size for each in self.files.values())


def read_manifest(folder: Path) -> Manifest:
    """That of the backup in this folder; raises Trouble if there is none that can be read."""
    try:
        return Manifest.model_validate_json((folder / FILE).read_bytes())
    except OSError as error:
        raise Trouble(f"{folder / FILE} cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        raise Trouble(
            f"{folder / FILE} is not a manifest of this build ({error.error_count()} errors).",
            "bring it back with the build that made it.",
        ) from None
