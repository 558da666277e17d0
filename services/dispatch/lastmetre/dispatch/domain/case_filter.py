"""Which cases a list shows."""

from typing import Literal, NamedTuple

ViewName = Literal["waiting", "unaccepted", "open", "closed"]


class CaseFilter(NamedTuple):
    """What a list shows; None is everything."""

    view: ViewName = "waiting"
    area_id: str | None = None
    lead_id: str | None = None
    category: str | None = None
    channel: str | None = None
