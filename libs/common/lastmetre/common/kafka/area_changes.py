"""Records of `network.areas`: an area as it stands now, or that it is there no longer."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from lastmetre.common.contracts.base import Message
from lastmetre.common.contracts.network import REMOVED_IN_VERSION, AreaPublished
from lastmetre.common.contracts.topics import NETWORK_AREAS
from lastmetre.common.kafka.codec import BadRecord, ConsumedRecord, OutboxMessage, decode, packed

_TYPES: Final[dict[str, type[Message]]] = {AreaPublished.TYPE: AreaPublished}
_LARGEST_VERSION: Final = 2**31 - 1


class AreaRemoved(NamedTuple):
    """An area is no longer in the network from this version on.

    None where a build removed it that did not say so: then the order on the topic decides.
    """

    area_id: str
    network_version: int | None


AreaChange = AreaPublished | AreaRemoved


def removal(area_id: str, network_version: int) -> OutboxMessage:
    """The record that removes an area."""
    headers = packed({REMOVED_IN_VERSION: str(network_version)})
    return OutboxMessage(NETWORK_AREAS, area_id.encode(), headers, None)


def decode_area_change(record: ConsumedRecord) -> AreaChange:
    """What a record says. Raises what `decode` raises."""
    if record.key is None:
        raise BadRecord("the record has no key")
    if record.value is not None:
        area = decode(record, _TYPES)
        assert isinstance(area, AreaPublished)
        return area
    return AreaRemoved(record.key.decode("utf-8", "replace"), _version(record))


def _version(record: ConsumedRecord) -> int | None:
    said = record.header(REMOVED_IN_VERSION)
    if said is None:
        return None
    if not said.isdigit() or len(said) > len(str(_LARGEST_VERSION)):
        raise BadRecord(f"the header {REMOVED_IN_VERSION} is no version")
    if not 0 < int(said) <= _LARGEST_VERSION:
        raise BadRecord(f"the header {REMOVED_IN_VERSION} is no version")
    return int(said)


def newest_of_each(changes: Iterable[AreaChange]) -> list[AreaChange]:
    """Of each area the change of the highest version; of one version the last."""
    newest: dict[str, AreaChange] = {}
    for change in changes:
        known = newest.get(change.area_id)
        if known is None or not _is_older(change, known):
            newest[change.area_id] = change
    return list(newest.values())


def _is_older(change: AreaChange, known: AreaChange) -> bool:
    one, other = change.network_version, known.network_version
    return one is not None and other is not None and one < other
