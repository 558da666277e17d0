"""What each principal may do in Kafka, and nothing beside it: the broker's access rules."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from lastmetre.common.contracts.readers import CHANNEL_TOPICS, READERS
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_OUTCOMES,
    NETWORK_AREAS,
    NOTIFY_DELIVERIES,
    REPORTS,
    SERVICES,
    TOPICS,
    dead_letter_topic,
)

PUBLISHES: Final[Mapping[str, frozenset[str]]] = {
    "intake": frozenset({REPORTS}),
    "dispatch": frozenset({CASE_EVENTS, FIELD_OUTCOMES, NETWORK_AREAS}),
    "notify": frozenset({FEEDBACK, NOTIFY_DELIVERIES}),
    "metrics": frozenset(),
}
"""By service: the topics whose records are its own. A test holds the services to it."""
AUDIT: Final = "audit"
KEDA: Final = "keda"
PRINCIPALS: Final = (*SERVICES, AUDIT, KEDA)
READ: Final = ("Read", "Describe")


class Right(NamedTuple):
    """One operation on one resource. `kind` is `topic` or `group`, as Kafka names it."""

    kind: str
    name: str
    operation: str


@dataclass(frozen=True)
class Rights:
    """What a principal may do: operations by topic, and on the groups whose names begin so."""

    topics: Mapping[str, tuple[str, ...]]
    groups: str = ""
    group_operations: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Right]:
        for topic, operations in self.topics.items():
            yield from (Right("topic", topic, each) for each in operations)
        yield from (Right("group", self.groups, each) for each in self.group_operations)


def rights() -> dict[str, Rights]:
    """By principal: the services, the audit, and KEDA that looks at lag.

    A service reads its own topics, too: a database that was restored catches up from them.
    """
    found = {name: _service(name) for name in SERVICES}
    everything = [topic.name for topic in TOPICS]
    # Audit, comparison of figures, and whether the topics are as declared: reads outside any group.
    found[AUDIT] = Rights(dict.fromkeys(everything, (*READ, "DescribeConfigs")))
    found[KEDA] = Rights(dict.fromkeys(everything, ("Describe",)), "*", ("Describe",))
    return found


def _service(name: str) -> Rights:
    published = PUBLISHES[name]
    # The edge takes reports in, and trims its topics once they are read.
    edge = set(CHANNEL_TOPICS) if name == "intake" else set()
    operations = {
        topic.name: (
            *(["Read"] if topic.name in READERS[name].keys() | published else []),
            *(["Write"] if topic.name in published | edge | {dead_letter_topic(name)} else []),
            *(["Delete"] if topic.name in edge else []),
        )
        for topic in TOPICS
    }
    topics = {topic: (*each, "Describe") for topic, each in operations.items() if each}
    return Rights(topics, f"{name}.", READ)
