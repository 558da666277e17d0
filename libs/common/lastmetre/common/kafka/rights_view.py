"""What a principal may do, next to what it needs: asked with its own credentials."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.rights import Right, rights
from lastmetre.common.kafka.access import KafkaAccess
from lastmetre.common.kafka.cluster_view import group_operations, look_at_cluster

IMPLIED: Final[Mapping[str, frozenset[str]]] = {
    "Describe": frozenset({"Read", "Write", "Delete", "Alter"}),
    "DescribeConfigs": frozenset({"AlterConfigs"}),
}
"""By operation: those that bring it along."""
NO_TOPIC: Final = "UnknownTopicOrPartitionError"


@dataclass
class RightsView:
    """What is missing, what is allowed beyond the need, and topics that do not exist."""

    missing: list[Right] = field(default_factory=list)
    beyond: list[Right] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)


def may(operation: str, allowed: frozenset[str]) -> bool:
    """Whether it is among what is allowed, or comes along with something that is."""
    return operation in allowed or bool(IMPLIED.get(operation, frozenset()) & allowed)


async def look_at_rights(access: KafkaAccess, prefix: str, principal: str) -> RightsView:
    """Ask once. Raises KafkaError, OSError or TimeoutError where nobody answers."""
    wanted, view = rights()[principal], RightsView()
    cluster = await look_at_cluster(access, [prefix + each for each in wanted.topics])
    for topic, operations in wanted.topics.items():
        seen = cluster.topics[prefix + topic]
        if seen.error == NO_TOPIC:
            view.absent.append(topic)
            continue
        lacking = [each for each in operations if not may(each, seen.operations)]
        view.missing += [Right("topic", topic, each) for each in lacking]
        more = sorted(seen.operations - set(operations) - {"Describe"})
        view.beyond += [Right("topic", topic, each) for each in more]
    consumers = dict.fromkeys(READERS.get(principal, {}).values())
    groups = [f"{prefix}{principal}.{consumer}" for consumer in consumers]
    for group, allowed in (await group_operations(access, groups)).items():
        lacking = [each for each in wanted.group_operations if not may(each, allowed)]
        view.missing += [Right("group", group.removeprefix(prefix), each) for each in lacking]
    return view
