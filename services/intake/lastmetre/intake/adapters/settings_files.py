"""Reads the files that the settings name: keys, partners' topics, mappings, categories."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import TOPICS
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.file import read_mapping
from lastmetre.common.mapping.model import JsonMapping
from lastmetre.common.mapping.problems import MappingError
from lastmetre.common.security.caller_keys import read_channel_keys
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.reading import read_table
from lastmetre.intake.domain.categories import CategoryCodes
from lastmetre.intake.domain.partner_topics import PartnerTopic
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
        _check_sender(path, Channel(caller.channel), caller.sender)
    return keys


def _check_sender(path: Path, channel: Channel, sender: str) -> None:
    if channel_and_sender(source_of(channel.value, sender)) is None:
        raise ValueError(f"{path}: {sender!r} cannot be a sender's name")
    if sender == OPEN_SENDER:
        raise ValueError(f"{path}: {OPEN_SENDER} is our own form, which has no key")


class _PartnerTopicEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    topic: str = Field(pattern=r"^[A-Za-z0-9._-]{1,200}$")
    channel: Channel
    sender: str
    mapping: str


def partner_topics(path: Path | None, folder: Path | None) -> list[PartnerTopic]:
    """The topics in a JSON list of topic, channel, sender, mapping; `folder` has the mappings.

    Raises OSError for a file that cannot be read, ValueError for what cannot be used.
    """
    if path is None:
        return []
    text = path.read_text("utf-8-sig")
    entries = TypeAdapter(list[_PartnerTopicEntry]).validate_json(text)
    readers = mapping_readers(folder, [each.mapping for each in entries])
    ours = {topic.name for topic in TOPICS}
    seen: set[str] = set()
    for each in entries:
        _check_sender(path, each.channel, each.sender)
        if each.topic in ours:
            raise ValueError(f"{path}: {each.topic} is a topic of ours")
        if each.topic in seen:
            raise ValueError(f"{path}: {each.topic} stands there twice")
        seen.add(each.topic)
    return [
        PartnerTopic(each.topic, each.channel, each.sender, readers[each.mapping])
        for each in entries
    ]


def mapping_readers(folder: Path | None, names: Iterable[str | None]) -> dict[str, Reader]:
    """The engine for each mapping that is named; `grid-east` stands in `grid-east.yaml`.

    Raises OSError for a file that cannot be read, ValueError for a mapping that cannot be used.
    """
    readers: dict[str, Reader] = {}
    for name in filter(None, dict.fromkeys(names)):
        if folder is None:
            raise ValueError(
                f"the mapping {name!r} is named, and INTAKE_MAPPINGS_FOLDER is not set"
            )
        if Path(name).name != name:
            raise MappingError(name, ["is no file's name without its `.yaml`"])
        path = folder / f"{name}.yaml"
        found = read_mapping(path)
        if not isinstance(found.mapping, JsonMapping):
            raise MappingError(str(path), ["is one of tables; partners send JSON (`reads: json`)"])
        readers[name] = found.reader()
    return readers


def read_role_mapping(path: Path) -> RoleMapping:
    """What roles the provider's claims give. Raises OSError, or ValueError with what is wrong."""
    return RoleMapping.model_validate_json(path.read_text("utf-8-sig"))
