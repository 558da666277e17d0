"""Reads the files that the settings name: channel keys and channels' names for categories."""

from pathlib import Path
from typing import Final

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.base import Channel
from lastmetre.common.security.caller_keys import read_channel_keys
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.reading import read_table
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.staff_roles import RoleMapping
from lastmetre.intake.domain.submission import OPEN_SENDER, channel_and_sender, source_of

COLUMNS: Final = Columns(("category", "code"), ("channel",))


def read_category_codes(path: Path | None, categories: Categories) -> CategoryCodes:
    """Channels' own names for the city's codes. Raises TableError with everything that is wrong."""
    if path is None:
        return CategoryCodes(categories)
    table = read_table(path, COLUMNS)
    mapped: dict[tuple[str, str], str] = {}
    for row in table.rows:
        channel, sent, code = row.cells.get("channel", ""), row.cells["category"], row.cells["code"]
        if channel and channel not in set(Channel):
            table.refuse(row, f"channel is {', '.join(Channel)} or empty, not {channel!r}")
        elif not sent:
            table.refuse(row, "category is empty")
        elif code not in categories:
            table.refuse(row, f"code: the catalogue has no {code!r}")
        elif (channel, sent) in mapped:
            table.refuse(row, f"category: {sent!r} is mapped already")
        else:
            mapped[channel, sent] = code
    table.check()
    return CategoryCodes(categories, mapped)


def channel_keys(path: Path) -> dict[str, ChannelCaller]:
    """The channel keys by SHA-256. Raises ValueError for a channel or sender that cannot be."""
    keys = read_channel_keys(path)
    for caller in keys.values():
        Channel(caller.channel)
        if channel_and_sender(source_of(caller.channel, caller.sender)) is None:
            raise ValueError(f"{path}: {caller.sender!r} cannot be a sender's name")
        if caller.sender == OPEN_SENDER:
            raise ValueError(f"{path}: {OPEN_SENDER} is our own form, which has no key")
    return keys


def read_role_mapping(path: Path) -> RoleMapping:
    """What roles the provider's claims give. Raises OSError, or ValueError with what is wrong."""
    return RoleMapping.model_validate_json(path.read_text("utf-8-sig"))
