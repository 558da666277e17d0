"""JSON Schemas of every message, its headers and the topics, from the contracts themselves."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from lastmetre.common.contracts import cases, deliveries, network, reports, requests
from lastmetre.common.contracts.base import Channel, Message, Model, message_types
from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.deliveries import MessageDelivered
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
    PARTITIONS,
    REPORTS,
    TOPICS,
    channel_topic,
)

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
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
    NOTIFY_DELIVERIES: (MessageDelivered,),
    NETWORK_AREAS: (AreaPublished,),
}

Text = Annotated[str, StringConstraints(min_length=1)]


class MessageHeaders(Model):
    """Headers of a record: CloudEvents 1.0 in Kafka's binary content mode, all UTF-8 text."""

    ce_specversion: Literal["1.0"]
    ce_id: Text
    ce_type: Text = Field(description="decides which schema the body follows")
    ce_source: Text = Field(description="on channels.*: who sent the report")
    ce_subject: Text | None = Field(default=None, description="the record's key")
    ce_time: AwareDatetime = Field(description="when it happened")
    ce_recordedtime: AwareDatetime | None = Field(default=None, description="when we knew")
    traceparent: str | None = Field(
        default=None, pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
    )
    content_type: Literal["application/json"] = Field(
        default="application/json", alias="content-type"
    )


def message_schema(kind: type[Message]) -> dict[str, Any]:
    """The schema of a message's body as its readers take it."""
    return {"$schema": DIALECT, "$id": f"urn:{kind.TYPE}", **kind.model_json_schema()}


def topics_document() -> dict[str, Any]:
    """Every topic with its settings and what it holds."""
    return {
        "partitions": PARTITIONS,
        "topics": [
            {
                "name": topic.name,
                "key": topic.key,
                "messages": [kind.TYPE for kind in TOPIC_MESSAGES.get(topic.name, ())],
                "settings": topic.settings,
            }
            for topic in TOPICS
        ],
    }


def documents() -> dict[str, dict[str, Any]]:
    """What is generated, by file name."""
    headers = {
        "$schema": DIALECT,
        "$id": "urn:lastmetre.headers",
        **MessageHeaders.model_json_schema(),
    }
    return {
        **{f"{name}.json": message_schema(kind) for name, kind in MESSAGE_TYPES.items()},
        "headers.json": headers,
        "topics.json": topics_document(),
    }
