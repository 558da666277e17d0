"""AsyncAPI 3.0 of the whole platform: every topic, its messages, who reads and who writes it."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from lastmetre.common.contracts.base import Model
from lastmetre.common.contracts.messages import MESSAGE_TYPES, TOPIC_MESSAGES
from lastmetre.common.contracts.topics import PARTITIONS, REPLICAS, TOPICS, Topic
from lastmetre.devstack.contracts.schemas import MessageHeaders

_REFERENCE: Final = "#/components/schemas/{model}"
_NUMBERS: Final = ("retention.ms", "retention.bytes", "max.message.bytes")
_DESCRIPTION: Final = (
    "CloudEvents 1.0 in Kafka's binary content mode. A city's topics may have a prefix of its own."
    " `channels.*` are written by intake's HTTP edge or by partners, `field.actions` by terminals"
    " and partners."
)

Described = Mapping[str, Mapping[str, Any]]


def asyncapi(services: Described, version: str) -> dict[str, Any]:
    """The document. `services` says of each what it subscribes to and what it publishes."""
    topics = [topic for topic in TOPICS if topic.name in TOPIC_MESSAGES]
    kinds: dict[str, type[Model]] = {**MESSAGE_TYPES, "headers": MessageHeaders}
    found, definitions = TypeAdapter.json_schemas(
        [(name, "validation", TypeAdapter(kind)) for name, kind in kinds.items()],
        ref_template=_REFERENCE,
    )
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Lastmetre", "version": version, "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in topics},
        "operations": dict(_operations(services)),
        "components": {
            "messages": {
                name: {
                    "name": name,
                    "summary": (kind.__doc__ or "").strip().split("\n", 1)[0],
                    "headers": found["headers", "validation"],
                    "payload": found[name, "validation"],
                }
                for name, kind in MESSAGE_TYPES.items()
            },
            "schemas": dict(sorted(definitions["$defs"].items())),
        },
    }


def _channel(topic: Topic) -> dict[str, Any]:
    settings: dict[str, Any] = dict(topic.settings)
    configuration = {name: int(settings[name]) for name in _NUMBERS}
    return {
        "address": topic.name,
        "description": f"Key: {topic.key}.",
        "messages": {
            kind.TYPE: {"$ref": f"#/components/messages/{kind.TYPE}"}
            for kind in TOPIC_MESSAGES[topic.name]
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": PARTITIONS,
                "replicas": REPLICAS,
                "topicConfiguration": {
                    "cleanup.policy": [settings["cleanup.policy"]],
                    **configuration,
                },
            }
        },
    }


def _operations(services: Described) -> Iterator[tuple[str, dict[str, Any]]]:
    for service, said in services.items():
        for consumer, topics in said["subscribers"].items():
            for topic in topics:
                group = {"kafka": {"groupId": {"type": "string", "const": consumer}}}
                name = f"{consumer}.receives.{topic}"
                yield name, {**_operation("receive", service, topic), "bindings": group}
        for topic in said["publishes"]:
            yield f"{service}.sends.{topic}", _operation("send", service, topic)


def _operation(action: str, service: str, topic: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic}"},
        "tags": [{"name": service}],
    }
