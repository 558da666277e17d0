"""Makes the broker's topics agree with their declaration in lastmetre.common.contracts.topics."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from lastmetre.common.contracts.topics import PARTITIONS, TOPICS, Topic

REPLICAS: Final = 3
"""Copies of each partition where there are enough brokers."""
ANSWER_WITHIN_MS: Final = 15_000


class TopicState(StrEnum):
    """How a topic on the broker compares with its declaration."""

    AS_DECLARED = "as declared"
    MISSING = "missing"
    CREATED = "created"
    ALTERED = "altered"
    DIFFERS = "differs"
    WRONG_PARTITIONS = "wrong partitions"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One topic as it was found, or as it is after `apply_topics`.

    `name` is as the broker has it, prefix included. `differing` holds the settings that are not
    (or were not) as declared, each as (found, wanted); `partitions` is 0 for a missing topic.
    """

    name: str
    topic: Topic
    state: TopicState
    partitions: int
    replicas: int
    differing: Mapping[str, tuple[str | None, str]]

    @property
    def wrong(self) -> bool:
        """Whether the services cannot work with the topic as it is."""
        return self.state in (TopicState.MISSING, TopicState.DIFFERS, TopicState.WRONG_PARTITIONS)


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    replicas: int
    settings: Mapping[str, str | None]


async def describe_topics(bootstrap_servers: str, prefix: str) -> list[TopicReport]:
    """Every declared topic as the broker has it; changes nothing.

    Raises aiokafka.errors.KafkaError where the broker does not answer.
    """
    async with _admin(bootstrap_servers) as admin:
        found = await _find(admin, [prefix + topic.name for topic in TOPICS])
    return [_compare(topic, prefix + topic.name, found) for topic in TOPICS]


async def apply_topics(bootstrap_servers: str, prefix: str) -> list[TopicReport]:
    """Create what is missing and alter settings that differ; what was done, topic by topic.

    Partitions are never changed, since keys would move: such a topic is reported as wrong.
    Doing it again, or from two places at once, is harmless. Raises KafkaError.
    """
    async with _admin(bootstrap_servers) as admin:
        brokers = len((await admin.describe_cluster())["brokers"])
        found = await _find(admin, [prefix + topic.name for topic in TOPICS])
        before = [_compare(topic, prefix + topic.name, found) for topic in TOPICS]
        missing = [each for each in before if each.state is TopicState.MISSING]
        if missing:
            await _create(admin, missing, replicas=min(REPLICAS, brokers))
        differing = [each for each in before if each.state is TopicState.DIFFERS]
        if differing:
            await _alter(admin, differing)
        changed = [each.name for each in (*missing, *differing)]
        found |= await _find(admin, changed) if changed else {}
    return [_after(each, found) for each in before]


def _after(before: TopicReport, found: Mapping[str, _Found]) -> TopicReport:
    after = _compare(before.topic, before.name, found)
    done = {TopicState.MISSING: TopicState.CREATED, TopicState.DIFFERS: TopicState.ALTERED}
    # Metadata of a topic made just now may lag; that it was made has been acknowledged.
    state = done.get(before.state, after.state)
    return TopicReport(
        before.name,
        before.topic,
        state,
        after.partitions or PARTITIONS,
        after.replicas,
        before.differing,
    )


@asynccontextmanager
async def _admin(bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=bootstrap_servers,
        client_id="lastmetre-topics",
        request_timeout_ms=ANSWER_WITHIN_MS,
    )
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _find(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, _Found]:
    """Those of the topics that exist. Asks for all topics: asking by name could create them."""
    wanted = set(names)
    existing = {
        each["topic"]: each for each in await admin.describe_topics() if each["topic"] in wanted
    }
    settings = await _settings(admin, list(existing)) if existing else {}
    return {
        name: _Found(
            partitions=len(each["partitions"]),
            replicas=min((len(p["replicas"]) for p in each["partitions"]), default=0),
            settings=settings[name],
        )
        for name, each in existing.items()
    }


async def _settings(
    admin: AIOKafkaAdminClient, names: list[str]
) -> dict[str, dict[str, str | None]]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    settings: dict[str, dict[str, str | None]] = {}
    answers: list[Any] = await admin.describe_configs(resources)
    for answer in answers:
        for code, message, _, name, entries in answer.resources:
            _raise_for(code, name, message)
            settings[name] = {entry[0]: entry[1] for entry in entries}
    return settings


async def _create(admin: AIOKafkaAdminClient, missing: list[TopicReport], *, replicas: int) -> None:
    answer: Any = await admin.create_topics(
        [
            NewTopic(each.name, PARTITIONS, replicas, topic_configs=each.topic.settings)
            for each in missing
        ]
    )
    for name, code, message in answer.topic_errors:
        if code != TopicAlreadyExistsError.errno:
            _raise_for(code, name, message)


async def _alter(admin: AIOKafkaAdminClient, differing: list[TopicReport]) -> None:
    answers: list[Any] = await admin.alter_configs(
        [
            ConfigResource(ConfigResourceType.TOPIC, each.name, each.topic.settings)
            for each in differing
        ]
    )
    for answer in answers:
        for code, message, _, name in answer.resources:
            _raise_for(code, name, message)


def _raise_for(code: int, name: str, message: str | None) -> None:
    if code:
        kind: type[KafkaError] = for_code(code)
        raise kind(f"{name}: {message or kind.__name__}")


def _compare(topic: Topic, name: str, found: Mapping[str, _Found]) -> TopicReport:
    there = found.get(name)
    if there is None:
        return TopicReport(name, topic, TopicState.MISSING, 0, 0, {})
    differing = {
        key: (there.settings.get(key), wanted)
        for key, wanted in topic.settings.items()
        if there.settings.get(key) != wanted
    }
    state = TopicState.DIFFERS if differing else TopicState.AS_DECLARED
    if there.partitions != PARTITIONS:
        state = TopicState.WRONG_PARTITIONS
    return TopicReport(name, topic, state, there.partitions, there.replicas, differing)
