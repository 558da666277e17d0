"""Topics and users for Strimzi: the rights that docs/security.md tells, and none beside them."""

import pytest
import yaml

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import TOPICS
from lastmetre.devstack.contracts.command import COMPONENTS
from tests.deploy.rendering import Resource, named, rendered

CHANNELS = ("channels.hotline", "channels.app", "channels.patrol")
READS = {
    "intake": {*CHANNELS, "case.events", "network.areas", "reports"},
    "dispatch": {
        "reports", "field.actions", "feedback", "case.events", "field.outcomes", "network.areas",
    },
    "notify": {"case.events", "notify.deliveries", "feedback"},
    "metrics": {"reports", "case.events", "notify.deliveries", "network.areas"},
}  # fmt: skip
WRITES = {
    "intake": {*CHANNELS, "reports", "intake.dlq"},
    "dispatch": {"case.events", "field.outcomes", "network.areas", "dispatch.dlq"},
    "notify": {"feedback", "notify.deliveries", "notify.dlq"},
    "metrics": {"metrics.dlq"},
}
"""As docs/security.md, Who may write where."""


def acls(user: str) -> list[Resource]:
    return list(
        named(rendered("cluster"), "KafkaUser", f"lastmetre-{user}")["spec"]["authorization"][
            "acls"
        ]
    )


def topics_with(user: str, operation: str) -> set[str]:
    return {
        each["resource"]["name"]
        for each in acls(user)
        if each["resource"]["type"] == "topic" and operation in each["operations"]
    }


@pytest.mark.parametrize("service", READERS)
def test_a_service_has_the_rights_that_the_security_page_tells(service: str) -> None:
    assert topics_with(service, "Read") == READS[service]
    assert topics_with(service, "Write") == WRITES[service]
    assert topics_with(service, "Delete") == (set(CHANNELS) if service == "intake" else set())
    groups = [each for each in acls(service) if each["resource"]["type"] == "group"]
    assert groups == [
        {
            "resource": {"type": "group", "name": f"{service}.", "patternType": "prefix"},
            "operations": ["Read", "Describe"],
        }
    ]


@pytest.mark.parametrize("user", ["intake", "dispatch", "notify", "metrics", "audit", "keda"])
def test_nobody_may_do_anything_to_the_cluster_or_to_all_topics(user: str) -> None:
    resources = [each["resource"] for each in acls(user)]
    assert {each["type"] for each in resources} <= {"topic", "group"}
    assert all(each["name"] != "*" for each in resources if each["type"] == "topic")
    operations = {operation for each in acls(user) for operation in each["operations"]}
    assert operations <= {"Read", "Write", "Delete", "Describe", "DescribeConfigs"}


@pytest.mark.parametrize("user", ["audit", "keda"])
def test_who_looks_only_writes_nothing(user: str) -> None:
    assert topics_with(user, "Write") | topics_with(user, "Delete") == set()
    assert topics_with(user, "Describe") == {each.name for each in TOPICS}


@pytest.mark.parametrize(
    ("overlay", "replicas", "in_sync"), [("cluster", 3, 2), ("one-node", 1, 1)]
)
def test_topics_have_as_many_copies_as_the_cluster_can_have(
    overlay: str, replicas: int, in_sync: int
) -> None:
    found = [each for each in rendered(overlay) if each["kind"] == "KafkaTopic"]
    assert {each["spec"]["topicName"] for each in found} == {each.name for each in TOPICS}
    assert {each["spec"]["replicas"] for each in found} == {replicas}
    assert {each["spec"]["config"]["min.insync.replicas"] for each in found} == {in_sync}
    brokers = [each for each in rendered(overlay) if each["kind"] == "KafkaNodePool"]
    assert sum(e["spec"]["replicas"] for e in brokers if "broker" in e["spec"]["roles"]) == replicas
    assert any("controller" in each["spec"]["roles"] for each in brokers)


def test_the_generated_files_hold_one_resource_for_each_topic_and_user() -> None:
    topics = list(yaml.safe_load_all((COMPONENTS / "strimzi" / "topics.yaml").read_text("utf-8")))
    users = list(yaml.safe_load_all((COMPONENTS / "strimzi" / "users.yaml").read_text("utf-8")))
    assert len(topics) == len(TOPICS)
    assert [each["metadata"]["name"] for each in users] == [
        f"lastmetre-{name}" for name in ("intake", "dispatch", "notify", "metrics", "audit", "keda")
    ]
