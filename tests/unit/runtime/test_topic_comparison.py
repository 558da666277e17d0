"""Topics as declared, and what may be altered of those that are not."""

import pytest

from lastmetre.common.contracts.topics import PARTITIONS, TOPICS
from lastmetre.common.kafka.topics import TopicState, _alterable, _compare, _Found

TOPIC = TOPICS[0]


def found(replicas: int, **settings: str) -> dict[str, _Found]:
    named = {name.replace("_", "."): value for name, value in settings.items()}
    return {TOPIC.name: _Found(PARTITIONS, replicas, TOPIC.settings | named)}


def test_two_copies_must_have_a_record_and_no_other_becomes_the_leader() -> None:
    for topic in TOPICS:
        assert topic.settings["min.insync.replicas"] == "2"
        assert topic.settings["unclean.leader.election.enable"] == "false"
        assert topic.settings_for(2)["min.insync.replicas"] == "1"


@pytest.mark.parametrize(
    ("replicas", "minimum", "state", "altered"),
    [
        (3, "2", TopicState.AS_DECLARED, {}),
        (3, "1", TopicState.DIFFERS, {"min.insync.replicas": "2"}),
        (2, "2", TopicState.WRONG_REPLICAS, {}),
        # Two of two would take nothing while one broker is away.
        (2, "1", TopicState.WRONG_REPLICAS, {}),
    ],
)
def test_copies_and_how_many_must_have_a_record(
    replicas: int, minimum: str, state: TopicState, altered: dict[str, str]
) -> None:
    report = _compare(TOPIC, TOPIC.name, found(replicas, min_insync_replicas=minimum), 3)
    assert (report.state, _alterable(report)) == (state, altered)
    assert report.wrong == (state is not TopicState.AS_DECLARED)


def test_other_settings_of_a_topic_with_too_few_copies_are_altered() -> None:
    report = _compare(TOPIC, TOPIC.name, found(1, min_insync_replicas="1", retention_ms="7"), 3)
    assert _alterable(report) == {"retention.ms": "-1"}
