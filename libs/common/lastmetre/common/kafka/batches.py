"""What a handler is given: records of the topics that it subscribes to, by what they carry."""

from collections.abc import Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any

from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.messages import TOPIC_MESSAGES
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    REPORTS,
    channel_topic,
)
from lastmetre.common.kafka.codec import ConsumedRecord
from lastmetre.common.kafka.subscribers import Carries


def _messages_of(*topics: str) -> Carries:
    kinds: list[Any] = [kind for topic in topics for kind in TOPIC_MESSAGES[topic]]
    return Carries(reduce(or_, dict.fromkeys(kinds)))


SubmittedReports = Annotated[
    Sequence[ConsumedRecord], _messages_of(*(channel_topic(channel) for channel in Channel))
]
CaseEvents = Annotated[Sequence[ConsumedRecord], _messages_of(CASE_EVENTS)]
Reports = Annotated[Sequence[ConsumedRecord], _messages_of(REPORTS)]
Deliveries = Annotated[Sequence[ConsumedRecord], _messages_of(NOTIFY_DELIVERIES)]
Areas = Annotated[Sequence[ConsumedRecord], _messages_of(NETWORK_AREAS)]
Requests = Annotated[Sequence[ConsumedRecord], _messages_of(REPORTS, FIELD_ACTIONS, FEEDBACK)]
"""Everything that is asked of dispatch."""
