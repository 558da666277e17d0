"""Keys of services and channels: random, and known here only by their SHA-256, so that whoever
reads the settings cannot call."""

import hashlib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, TypeAdapter, model_validator

from lastmetre.common.security.callers import ChannelCaller


def key_digest(key: str) -> str:
    """What the settings hold of a key: the hexadecimal SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class _ChannelKeyEntry(BaseModel):
    channel: str
    sender: str
    sha256: str
    history: bool = False
    mapping: str | None = None

    @model_validator(mode="after")
    def _a_mapping_reads_what_happens_now(self) -> Self:
        if self.history and self.mapping is not None:
            raise ValueError("a key with a mapping sends no history: `lastmetre import` does")
        return self


def read_channel_keys(path: Path) -> dict[str, ChannelCaller]:
    """The channel keys' file (a JSON list of channel, sender, sha256, history,
    mapping) by SHA-256.

    Raises OSError if it cannot be read, ValueError if it is not such a list.
    """
    entries = TypeAdapter(list[_ChannelKeyEntry]).validate_json(path.read_text("utf-8-sig"))
    return {
        entry.sha256.lower(): ChannelCaller(
            entry.channel, entry.sender, entry.history, entry.mapping
        )
        for entry in entries
    }
