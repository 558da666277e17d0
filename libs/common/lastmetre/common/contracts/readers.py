"""Which consumer of which service reads which topic."""

from collections.abc import Mapping
from typing import Final

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    REPORTS,
    channel_topic,
)

CHANNEL_TOPICS: Final = tuple(channel_topic(each) for each in Channel)

READERS: Final[Mapping[str, Mapping[str, str]]] = {
    "intake": {
        **dict.fromkeys(CHANNEL_TOPICS, "channels"),
        CASE_EVENTS: "cases",
        NETWORK_AREAS: "network",
    },
    "dispatch": dict.fromkeys((REPORTS, FIELD_ACTIONS, FEEDBACK), "requests"),
    "notify": {CASE_EVENTS: "cases"},
    "metrics": {
        CASE_EVENTS: "cases",
        REPORTS: "reports",
        NOTIFY_DELIVERIES: "deliveries",
        NETWORK_AREAS: "network",
    },
}
"""By service: each topic with the consumer that reads it, as the table `position` names it."""
