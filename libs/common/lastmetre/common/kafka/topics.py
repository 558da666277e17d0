"""Makes the broker's topics agree with their declaration in lastmetre.common.contracts.topics."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import (
    KafkaError,
    TopicAlreadyExistsError,
    UnknownTopicOrPartitionError,
    for_code,
)

from lastmetre.common.contracts.topics import PARTITIONS, REPLICAS, TOPICS, Topic
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.access import KafkaAccess, access_of
from lastmetre.common.kafka.alter_configs import IncrementalAlterConfigs

HEARD_WITHIN_SECONDS: Final = 15.0
LOOK_AGAIN_SECONDS: Final = 0.1
_MINIMUM: Final = "min.insync.replicas"


class TooFewBrokers(Exception):
    """New topics would have fewer copies than declared, for ever."""

    def __init__(self, brokers: int) -> None:
        super().__init__(
            f"{brokers} of at least {REPLICAS} brokers answer: topics made now would have too few"
            " copies, for ever"
        )


class TopicState(StrEnum):
    """How a topic on the broker compares with its declaration."""

    AS_DECLARED = "as declared"
    MISSING = "missing"
    CREATED = "created"
    ALTERED = "altered"
    DIFFERS = "differs"
    TO_CREATE = "would be created"
    TO_ALTER = "would be altered"
    WRONG_PARTITIONS = "wrong partitions"
    WRONG_REPLICAS = "wrong replicas"


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
        return self.state in (
            TopicState.MISSING,
            TopicState.DIFFERS,
            TopicState.WRONG_PARTITIONS,
            TopicState.WRONG_REPLICAS,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    partitions: int
    replicas: int
    settings: Mapping[str, str | None]


async def describe_topics(
    access: KafkaAccess | str, prefix: str, *, development: bool = False
) -> list[TopicReport]:
    """Every declared topic as the broker has it; changes nothing.

    Raises aiokafka.errors.KafkaError where the broker does not answer.
    """
    async with _admin(access) as admin:
        return await _describe(admin, prefix, await _replicas(admin, development=development))


async def apply_topics(
    access: KafkaAccess | str, prefix: str, *, development: bool = False, dry_run: bool = False
) -> list[TopicReport]:
    """Create what is missing and alter settings that differ; what was done, topic by topic.

    Partitions and copies are never changed: such a topic is reported as wrong. Settings that are
    not declared stay as the operator set them. Doing it again, or from two places at once, is
    harmless. With `dry_run` only what would be done is told. Raises KafkaError, and TooFewBrokers
    unless `development` says that the brokers there are will do.
    """
    async with _admin(access) as admin:
        replicas = await _replicas(admin, development=development)
        brokers = await _brokers(admin)
        if brokers < replicas:
            raise TooFewBrokers(brokers)
        before = await _describe(admin, prefix, replicas)
        if dry_run:
            return [_planned(each) for each in before]
        missing = [each for each in before if each.state is TopicState.MISSING]
        if missing:
            await _create(admin, missing, replicas)
        altered = [each for each in before if _alterable(each)]
        if altered:
            await _alter(admin, altered)
        changed = [each.name for each in (*missing, *altered)]
        found = await _find_changed(admin, changed) if changed else {}
    return [_after(each, found, replicas) if each.name in changed else each for each in before]


async def _brokers(admin: AIOKafkaAdminClient) -> int:
    return len((await admin.describe_cluster())["brokers"])


async def _replicas(admin: AIOKafkaAdminClient, *, development: bool) -> int:
    return min(REPLICAS, await _brokers(admin)) if development else REPLICAS


async def _describe(admin: AIOKafkaAdminClient, prefix: str, replicas: int) -> list[TopicReport]:
    found = await _find(admin, [prefix + topic.name for topic in TOPICS])
    return [_compare(topic, prefix + topic.name, found, replicas) for topic in TOPICS]


def _alterable(report: TopicReport) -> dict[str, str]:
    """The settings that are to be altered. With too few copies, not how many must have a record:
    the topic would take nothing as soon as one broker is away, or at once."""
    if report.state not in (TopicState.DIFFERS, TopicState.WRONG_REPLICAS):
        return {}
    few = report.replicas < REPLICAS and report.state is TopicState.WRONG_REPLICAS
    return {
        name: wanted
        for name, (_, wanted) in report.differing.items()
        if not (few and name == _MINIMUM)
    }


def _planned(report: TopicReport) -> TopicReport:
    planned = {TopicState.MISSING: TopicState.TO_CREATE, TopicState.DIFFERS: TopicState.TO_ALTER}
    return replace(report, state=planned.get(report.state, report.state))


def _after(before: TopicReport, found: Mapping[str, _Found], replicas: int) -> TopicReport:
    after = _compare(before.topic, before.name, found, replicas)
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
async def _admin(access: KafkaAccess | str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = clients.admin(access_of(access), "lastmetre-topics")
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


async def _find_changed(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, _Found]:
    """The same of topics made just now, of which another broker may not have heard yet."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + HEARD_WITHIN_SECONDS
    while True:
        try:
            return await _find(admin, names)
        except UnknownTopicOrPartitionError:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


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


async def _create(admin: AIOKafkaAdminClient, missing: list[TopicReport], replicas: int) -> None:
    answer: Any = await admin.create_topics(
        [
            NewTopic(
                each.name, PARTITIONS, replicas, topic_configs=each.topic.settings_for(replicas)
            )
            for each in missing
        ]
    )
    for name, code, message in answer.topic_errors:
        if code != TopicAlreadyExistsError.errno:
            _raise_for(code, name, message)


async def _alter(admin: AIOKafkaAdminClient, reports: list[TopicReport]) -> None:
    request = IncrementalAlterConfigs({each.name: _alterable(each) for each in reports})
    # aiokafka's admin client has only the request that takes away what it does not name.
    answer: Any = await admin._send_request(request)  # noqa: SLF001
    for code, message, _, name in answer.responses:
        _raise_for(code, name, message)


def _raise_for(code: int, name: str, message: str | None) -> None:
    if code:
        kind: type[KafkaError] = for_code(code)
        raise kind(f"{name}: {message or kind.__name__}")


def _compare(topic: Topic, name: str, found: Mapping[str, _Found], replicas: int) -> TopicReport:
    there = found.get(name)
    if there is None:
        return TopicReport(name, topic, TopicState.MISSING, 0, 0, {})
    differing = {
        key: (there.settings.get(key), wanted)
        for key, wanted in topic.settings_for(replicas).items()
        if there.settings.get(key) != wanted
    }
    state = TopicState.DIFFERS if differing else TopicState.AS_DECLARED
    if there.replicas != replicas:
        state = TopicState.WRONG_REPLICAS
    if there.partitions != PARTITIONS:
        state = TopicState.WRONG_PARTITIONS
    return TopicReport(name, topic, state, there.partitions, there.replicas, differing)
