"""`lastmetre topics`: what is missing is made, what differs put right, what cannot be is named."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FIELD_OUTCOMES,
    NETWORK_AREAS,
    REPORTS,
    TOPICS,
)
from lastmetre.devstack import Stack
from tests.support.city import City
from tests.support.commands import attempt, lastmetre
from tests.support.topics import delete_topics

DAYS_30 = str(30 * 24 * 60 * 60 * 1000)
KEPT = {
    # As the design's table of topics says.
    CASE_EVENTS: ("delete", "-1"),
    REPORTS: ("delete", DAYS_30),
    NETWORK_AREAS: ("compact", "-1"),
}


@asynccontextmanager
async def administrator(stack: Stack) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=stack.endpoints.bootstrap_servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def settings(admin: AIOKafkaAdminClient, name: str) -> dict[str, str]:
    """A topic's settings as the broker tells them: a moment after the controller knows them."""
    answers: list[Any] = await admin.describe_configs(
        [ConfigResource(ConfigResourceType.TOPIC, name)]
    )
    return {entry[0]: entry[1] for entry in answers[0].resources[0][4]}


async def partitions(admin: AIOKafkaAdminClient, name: str) -> int:
    found = [each for each in await admin.describe_topics() if each["topic"] == name]
    return len(found[0]["partitions"]) if found else 0


async def test_topics_are_made_as_declared_and_put_right(
    stack: Stack, city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = f"t{secrets.token_hex(4)}."
    # With the broker named, no stack is needed.
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", stack.endpoints.bootstrap_servers)
    monkeypatch.setenv("LASTMETRE_TOPIC_PREFIX", prefix)

    async def states(*words: str, code: int) -> dict[str, str]:
        document = await lastmetre(stack, "topics", *words, code=code, LASTMETRE_HOME="/nowhere")
        return {each["name"].removeprefix(prefix): each["state"] for each in document["topics"]}

    every = {topic.name for topic in TOPICS}
    code, _, complained = await attempt(stack, "topics", "apply", LASTMETRE_HOME="/nowhere")
    assert code == 1
    assert "1 of at least 3 brokers answer" in complained
    assert set((await states("describe", code=1)).values()) == {"missing"}
    monkeypatch.setenv("LASTMETRE_DEVELOPMENT", "1")
    try:
        planned = await states("apply", "--dry-run", code=0)
        assert planned == dict.fromkeys(every, "would be created")
        assert set((await states("describe", code=1)).values()) == {"missing"}
        assert await states("apply", code=0) == dict.fromkeys(every, "created")
        async with administrator(stack) as admin:

            async def has_partitions(count: int, name: str) -> None:
                async def look() -> bool:
                    return await partitions(admin, prefix + name) == count

                await city.until(look, f"{count} partitions of {name}")

            async def is_kept(milliseconds: str, name: str) -> None:
                async def look() -> bool:
                    return (await settings(admin, prefix + name))["retention.ms"] == milliseconds

                await city.until(look, f"retention {milliseconds} of {name}")

            for name in every:
                await has_partitions(12, name)
            for name, (cleanup, retention) in KEPT.items():
                has = await settings(admin, prefix + name)
                assert (has["cleanup.policy"], has["retention.ms"]) == (cleanup, retention), name
                assert has["message.timestamp.type"] == "LogAppendTime", name
                assert has["min.insync.replicas"] == "1", name
                assert has["unclean.leader.election.enable"] == "false", name

            ledger = ConfigResource(
                ConfigResourceType.TOPIC,
                prefix + CASE_EVENTS,
                # The second is not declared: it is the operator's.
                {"retention.ms": "3600000", "segment.bytes": "104857600"},
            )
            await admin.alter_configs([ledger])
            await is_kept("3600000", CASE_EVENTS)
            await admin.delete_topics([prefix + FIELD_OUTCOMES])
            await has_partitions(0, FIELD_OUTCOMES)
            await admin.create_topics([NewTopic(prefix + FIELD_OUTCOMES, 3, 1)])
            await has_partitions(3, FIELD_OUTCOMES)

            odd = {CASE_EVENTS: "differs", FIELD_OUTCOMES: "wrong partitions"}
            whole = dict.fromkeys(every, "as declared")
            assert await states("describe", code=1) == {**whole, **odd}
            odd[CASE_EVENTS] = "would be altered"
            assert await states("apply", "--dry-run", code=1) == {**whole, **odd}
            await is_kept("3600000", CASE_EVENTS)
            odd[CASE_EVENTS] = "altered"
            assert await states("apply", code=1) == {**whole, **odd}
            await is_kept("-1", CASE_EVENTS)
            assert (await settings(admin, prefix + CASE_EVENTS))["segment.bytes"] == "104857600"

            # For a cluster that is none of development, one copy is wrong, and nobody says it is
            # as declared.
            monkeypatch.delenv("LASTMETRE_DEVELOPMENT")
            few = dict.fromkeys(every, "wrong replicas") | {FIELD_OUTCOMES: "wrong partitions"}
            assert await states("describe", code=1) == few
            _, _, complained = await attempt(stack, "topics", "describe", LASTMETRE_HOME="/nowhere")
            assert "kafka-reassign-partitions" in complained
    finally:
        await delete_topics(stack.endpoints.bootstrap_servers, prefix)


async def test_a_broker_that_does_not_answer_is_named(stack: Stack) -> None:
    nowhere = "127.0.0.1:9"
    code, _, complained = await attempt(stack, "topics", "apply", KAFKA_BOOTSTRAP_SERVERS=nowhere)
    assert code == 1
    assert nowhere in complained
    assert "`make up` starts" in complained
