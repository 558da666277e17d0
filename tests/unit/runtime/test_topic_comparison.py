"""Topics as declared, and what is altered of those that are not."""

from types import SimpleNamespace
from typing import Any

import pytest

from lastmetre.common.contracts.topics import PARTITIONS, TOPICS
from lastmetre.common.kafka import clients
from lastmetre.common.kafka.topics import TopicState, apply_topics, describe_topics

BROKERS = 3
UNKNOWN_TOPIC = 3
"""Kafka's code of the error."""


class Admin:
    """Topics as declared, but for the copies and settings of one; the others are asked in vain
    `deaf` times for what was altered."""

    def __init__(self, replicas: int = BROKERS, deaf: int = 0, **settings: str) -> None:
        self.replicas = replicas
        self.settings = {name.replace("_", "."): value for name, value in settings.items()}
        self.altered: dict[str, dict[str, str]] = {}
        self.deaf = deaf

    async def start(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": [{}] * BROKERS}

    async def describe_topics(self) -> list[dict[str, Any]]:
        return [
            {
                "topic": topic.name,
                "partitions": [
                    {"replicas": [0] * (self.replicas if topic is TOPICS[0] else BROKERS)}
                ]
                * PARTITIONS,
            }
            for topic in TOPICS
        ]

    async def describe_configs(self, resources: list[Any]) -> list[Any]:
        unheard = bool(self.altered) and self.deaf > 0
        self.deaf -= unheard
        found = []
        for resource in resources:
            topic = next(each for each in TOPICS if each.name == resource.name)
            settings = topic.settings | (self.settings if topic is TOPICS[0] else {})
            settings |= self.altered.get(topic.name, {})
            entries = [] if unheard else [(*pair, False, 1) for pair in settings.items()]
            found.append((UNKNOWN_TOPIC if unheard else 0, None, 2, topic.name, entries))
        return [SimpleNamespace(resources=found)]

    async def _send_request(self, request: Any) -> Any:
        for _, topic, settings in request.build(lambda resources, _: resources):
            self.altered[topic] = {name: value for name, _, value in settings}
        return SimpleNamespace(responses=[(0, None, 2, topic) for topic in self.altered])


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Admin:
    made: Admin = request.param
    monkeypatch.setattr(clients, "admin", lambda access, client_id: made)
    return made


async def state() -> TopicState:
    return (await describe_topics("broker:9092", ""))[0].state


def test_two_copies_must_have_a_record_and_no_other_becomes_the_leader() -> None:
    for topic in TOPICS:
        assert topic.settings["min.insync.replicas"] == "2"
        assert topic.settings["unclean.leader.election.enable"] == "false"
        assert topic.settings_for(2)["min.insync.replicas"] == "1"


@pytest.mark.parametrize(
    ("admin", "found", "altered"),
    [
        (Admin(3, min_insync_replicas="2"), TopicState.AS_DECLARED, {}),
        (Admin(3, min_insync_replicas="1"), TopicState.DIFFERS, {"min.insync.replicas": "2"}),
        (Admin(2, min_insync_replicas="2"), TopicState.WRONG_REPLICAS, {}),
        # Two of two would take nothing while one broker is away.
        (Admin(2, min_insync_replicas="1"), TopicState.WRONG_REPLICAS, {}),
        (
            Admin(1, min_insync_replicas="1", retention_ms="7"),
            TopicState.WRONG_REPLICAS,
            {"retention.ms": "-1"},
        ),
    ],
    indirect=["admin"],
)
async def test_copies_and_how_many_must_have_a_record(
    admin: Admin, found: TopicState, altered: dict[str, str]
) -> None:
    assert await state() is found
    [report, *others] = await describe_topics("broker:9092", "")
    assert report.wrong == (found is not TopicState.AS_DECLARED)
    assert {each.state for each in others} == {TopicState.AS_DECLARED}
    await apply_topics("broker:9092", "")
    assert admin.altered == ({TOPICS[0].name: altered} if altered else {})


@pytest.mark.parametrize("admin", [Admin(deaf=2, retention_ms="7")], indirect=True)
async def test_a_broker_that_has_not_heard_of_a_change_is_asked_again(admin: Admin) -> None:
    reports = await apply_topics("broker:9092", "")
    assert reports[0].state is TopicState.ALTERED
    assert admin.deaf == 0
