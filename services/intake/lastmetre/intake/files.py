"""Reads the files that the settings name: channel keys and categories."""

import csv
from pathlib import Path

from lastmetre.common.contracts.base import Channel
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.tokens import read_channel_keys
from lastmetre.intake.domain.categories import Categories, parse_categories, parse_mapping
from lastmetre.intake.domain.submission import channel_and_sender, source_of


def read_categories(catalogue: Path | None, mapping: Path | None) -> Categories:
    """The city's categories, none if there is no file. Raises OSError and ValueError."""
    if catalogue is None:
        return Categories([], {})
    known = parse_categories(_rows(catalogue))
    return Categories(known, parse_mapping(_rows(mapping), known) if mapping else {})


def _rows(path: Path) -> list[dict[str, str | None]]:
    with path.open(encoding="utf-8-sig", newline="") as source:
        return list(csv.DictReader(source))


def channel_keys(path: Path) -> dict[str, ChannelCaller]:
    """The channel keys by SHA-256. Raises ValueError for a channel or sender that cannot be."""
    keys = read_channel_keys(path)
    for caller in keys.values():
        Channel(caller.channel)
        if channel_and_sender(source_of(caller.channel, caller.sender)) is None:
            raise ValueError(f"{path}: {caller.sender!r} cannot be a sender's name")
    return keys
