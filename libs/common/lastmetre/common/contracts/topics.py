"""Every topic, declared once. `lastmetre topics apply` makes the broker agree with this."""

from dataclasses import dataclass
from typing import Final

from lastmetre.common.contracts.base import Channel

PARTITIONS: Final = 12
REPLICAS: Final = 3
"""Copies of each partition. A development stack has as many as it has brokers, up to this."""
DAY_MS: Final = 24 * 60 * 60 * 1000
HOUR_MS: Final = 60 * 60 * 1000
SEGMENT_BYTES: Final = 64 * 1024 * 1024
FOR_EVER: Final = -1
MESSAGE_BYTES: Final = 1_048_576
"""Largest record that a topic takes, bytes."""
LETTER_BYTES: Final = 2 * MESSAGE_BYTES
"""Largest dead letter: the record as it came, with headers that say why it died."""


@dataclass(frozen=True)
class Topic:
    """A Kafka topic. `retention_ms` -1 keeps for ever; `compacted` keeps the last of each key."""

    name: str
    key: str
    retention_ms: int = FOR_EVER
    compacted: bool = False
    short_lived: bool = False
    """Holds personal data: its writer trims it behind its reader's stored position."""
    message_bytes: int = MESSAGE_BYTES

    @property
    def settings(self) -> dict[str, str]:
        """Topic configuration as Kafka names it."""
        # A broker deletes whole files, and never the one that it writes to: of what is trimmed,
        # that one stays readable on its disk until another record begins a new one.
        segments = {"segment.ms": str(HOUR_MS), "segment.bytes": str(SEGMENT_BYTES)}
        return (segments if self.short_lived else {}) | {
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": str(self.retention_ms),
            "retention.bytes": "-1",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.message_bytes),
            # Acknowledged is what two disks have; a copy that lags never becomes the leader.
            "min.insync.replicas": str(minimum_in_sync(REPLICAS)),
            "unclean.leader.election.enable": "false",
        }

    def settings_for(self, replicas: int) -> dict[str, str]:
        """The same where there are so many copies."""
        return self.settings | {"min.insync.replicas": str(minimum_in_sync(replicas))}


def minimum_in_sync(replicas: int) -> int:
    """Copies that must have a record before it is acknowledged; one broker may be away."""
    return 2 if replicas >= REPLICAS else 1


def channel_topic(channel: Channel) -> str:
    """Name of the topic that takes a channel's reports."""
    return f"channels.{channel.value}"


def dead_letter_topic(service: str) -> str:
    """Name of the topic that holds what `service` could not handle."""
    return f"{service}.dlq"


REPORTS: Final = "reports"
FIELD_ACTIONS: Final = "field.actions"
FIELD_OUTCOMES: Final = "field.outcomes"
CASE_EVENTS: Final = "case.events"
FEEDBACK: Final = "feedback"
NOTIFY_DELIVERIES: Final = "notify.deliveries"
NETWORK_AREAS: Final = "network.areas"
SERVICES: Final = ("intake", "dispatch", "notify", "metrics")

TOPICS: Final[tuple[Topic, ...]] = (
    *(Topic(channel_topic(c), key="source id", short_lived=True) for c in Channel),
    Topic(REPORTS, key="report id", retention_ms=30 * DAY_MS),
    Topic(FIELD_ACTIONS, key="case id", retention_ms=30 * DAY_MS),
    Topic(FIELD_OUTCOMES, key="case id", retention_ms=30 * DAY_MS),
    Topic(CASE_EVENTS, key="case id"),
    Topic(FEEDBACK, key="case id"),
    Topic(NOTIFY_DELIVERIES, key="case id"),
    Topic(NETWORK_AREAS, key="area id", compacted=True),
    *(
        Topic(
            dead_letter_topic(service),
            key="as its origin",
            # Intake's letters are reports as they were sent, with what is personal in them. The
            # others' may come from topics that are kept for ever.
            retention_ms=7 * DAY_MS if service == "intake" else FOR_EVER,
            short_lived=service == "intake",
            message_bytes=LETTER_BYTES,
        )
        for service in SERVICES
    ),
)

LASTING: Final = frozenset({CASE_EVENTS})
"""Topics whose loss stops their writer: `lastmetre recover` brings them back."""
