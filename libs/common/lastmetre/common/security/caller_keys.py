"""Keys of services and channels: random, and known here only by their SHA-256, so that whoever
reads the settings cannot call."""

import hashlib
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from lastmetre.common.security.callers import ChannelCaller


def key_digest(key: str) -> str:
    """What the settings hold of a key: the hexadecimal SHA-256 of its UTF-8 bytes."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class _ChannelKeyEntry(BaseModel):
    channel: str
    sender: str
    sha256: str
    history: bool = False


def read_channel_keys(path: Path) -> dict[str, ChannelCaller]:
    """The channel keys' file (a JSON list of channel, sender, sha256, history) by SHA-256.

    Raises OSError if it cannot be read, ValueError if it is not such a list.
    """
    entries = TypeAdapter(list[_ChannelKeyEntry]).validate_json(path.read_text("utf-8-sig"))
    return {
        entry.sha256.lower(): ChannelCaller(entry.channel, entry.sender, entry.history)
        for entry in entries
    }
