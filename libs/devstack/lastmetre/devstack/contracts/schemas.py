"""JSON Schemas of every message, its headers and the topics, from the contracts themselves."""

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, Field, StringConstraints

from lastmetre.common.contracts.base import Message, Model
from lastmetre.common.contracts.messages import MESSAGE_TYPES, TOPIC_MESSAGES
from lastmetre.common.contracts.topics import (
    PARTITIONS,
    TOPICS,
)

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
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
