"""The published network of areas, on the compacted topic `network.areas`."""

from typing import Any, ClassVar

from pydantic import Field

from lastmetre.common.contracts.base import Code, Message
from lastmetre.common.contracts.cases import LocalName, PublishedLead


class AreaPublished(Message):
    """An area as it stands now. Key: area id. A record without a body removes it."""

    TYPE: ClassVar[str] = "lastmetre.area.published.v1"

    area_id: Code
    name: LocalName
    town: LocalName | None = None
    outline: dict[str, Any] = Field(description="GeoJSON Polygon or MultiPolygon, WGS-84")
    lead: PublishedLead | None = None
    network_version: int = Field(ge=1)
