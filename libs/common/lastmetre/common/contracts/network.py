"""The published network of areas, on the compacted topic `network.areas`."""

from typing import Any, ClassVar, Final

from pydantic import Field

from lastmetre.common.contracts.base import Code, Message
from lastmetre.common.contracts.cases import LocalName, PublishedLead

REMOVED_IN_VERSION: Final = "lastmetre_network_version"
"""The header of a removal: the version of the network that the area is no longer in. The body of a
removal is none, so that compaction forgets the area, and a reader that is older understands it."""


class AreaPublished(Message):
    """An area as it stands now. Key: area id. A record without a body removes it, in the version
    that its header `lastmetre_network_version` says: readers keep the highest version of each area,
    so that a late repetition neither takes away an area that was added again nor brings one back.
    """

    TYPE: ClassVar[str] = "lastmetre.area.published.v1"

    area_id: Code
    name: LocalName
    town: LocalName | None = None
    outline: dict[str, Any] = Field(description="GeoJSON Polygon or MultiPolygon, WGS-84")
    lead: PublishedLead | None = None
    network_version: int = Field(ge=1)
