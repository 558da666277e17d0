"""Which messages there are, and which of them a topic holds."""

from collections.abc import Mapping
from typing import Final

from lastmetre.common.contracts import cases, deliveries, network, reports, requests
from lastmetre.common.contracts.base import Channel, Message, message_types
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import MessageAttempted, MessageDelivered
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected, ReportSubmitted
from lastmetre.common.contracts.requests import ActionAnswered, ActionRequested, FeedbackGiven
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    REPORTS,
    channel_topic,
)

MESSAGE_TYPES: Final[Mapping[str, type[Message]]] = message_types(
    reports, cases, requests, deliveries, network
)
CASE_EVENT_TYPES: Final = tuple(
    kind for kind in MESSAGE_TYPES.values() if issubclass(kind, CaseEvent)
)
TOPIC_MESSAGES: Final[Mapping[str, tuple[type[Message], ...]]] = {
    **{channel_topic(channel): (ReportSubmitted,) for channel in Channel},
    REPORTS: (ReportAccepted, ReportRejected),
    FIELD_ACTIONS: (ActionRequested,),
    FIELD_OUTCOMES: (ActionAnswered,),
    CASE_EVENTS: CASE_EVENT_TYPES,
    FEEDBACK: (FeedbackGiven,),
    NOTIFY_DELIVERIES: (MessageAttempted, MessageDelivered),
    NETWORK_AREAS: (AreaPublished,),
}
