"""More processes of a service are one number; KEDA asks for the lag of groups that there are."""

import shutil
from pathlib import Path

import pytest

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import PARTITIONS, SERVICES
from tests.deploy.rendering import KUBERNETES, Resource, named, render, rendered

# KEDA 2.20.2, pkg/scalers/kafka_scaler.go: names of a free map, which no schema checks.
KAFKA_METADATA = {
    "bootstrapServers", "bootstrapServersFromEnv", "consumerGroup", "topic", "lagThreshold",
    "activationLagThreshold", "offsetResetPolicy", "allowIdleConsumers", "excludePersistentLag",
    "limitToPartitionsWithLag", "ensureEvenDistributionOfPartitions", "partitionLimitation",
    "version", "tls", "sasl", "unsafeSsl",
}  # fmt: skip


def triggers(service: str, kind: str) -> list[Resource]:
    spec = named(rendered("cluster"), "ScaledObject", service)["spec"]
    return [each for each in spec["triggers"] if each["type"] == kind]


@pytest.mark.parametrize("service", SERVICES)
def test_lag_is_asked_of_every_group_of_the_service(service: str) -> None:
    asked = [each["metadata"] for each in triggers(service, "kafka")]
    assert {each["consumerGroup"] for each in asked} == {
        f"{service}.{consumer}" for consumer in READERS[service].values()
    }
    for each in asked:
        assert each.keys() <= KAFKA_METADATA
        assert int(each["lagThreshold"]) > 0
        # A group that has read nothing yet has all of the log before it, as our consumers have.
        assert each["offsetResetPolicy"] == "earliest"
        assert (each["sasl"], each["tls"]) == ("scram_sha512", "enable")


@pytest.mark.parametrize("service", SERVICES)
def test_there_are_never_none_and_never_more_than_divide_the_partitions(service: str) -> None:
    spec = named(rendered("cluster"), "ScaledObject", service)["spec"]
    assert spec["scaleTargetRef"]["name"] == service
    assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"] <= PARTITIONS
    assert PARTITIONS % spec["minReplicaCount"] == PARTITIONS % spec["maxReplicaCount"] == 0
    deployment = named(rendered("cluster"), "Deployment", service)
    assert "replicas" not in deployment["spec"], "KEDA's, and each apply would reset it"


def changed(
    tmp_path: Path, overlay: str, file: str, before: str, after: str
) -> tuple[Resource, ...]:
    """The overlay with one text of a file replaced."""
    copy = tmp_path / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    path = copy / "overlays" / overlay / file
    text = path.read_text("utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), "utf-8")
    return render(copy / "overlays" / overlay)


def test_notify_in_a_cluster_scaled_to_three_is_one_number(tmp_path: Path) -> None:
    before = "metadata: {name: notify}\nspec: {minReplicaCount: 2"
    after = before.replace(": 2", ": 3")
    found = changed(tmp_path, "cluster", "scaling.yaml", before, after)
    assert {
        service: named(found, "ScaledObject", service)["spec"]["minReplicaCount"]
        for service in SERVICES
    } == {"intake": 2, "dispatch": 2, "notify": 3, "metrics": 2}


def test_notify_on_one_node_scaled_to_three_is_one_number(tmp_path: Path) -> None:
    before = "{name: notify, count: 1}"
    found = changed(
        tmp_path, "one-node", "kustomization.yaml", before, before.replace(": 1", ": 3")
    )
    assert {
        service: named(found, "Deployment", service)["spec"]["replicas"] for service in SERVICES
    } == {"intake": 1, "dispatch": 1, "notify": 3, "metrics": 1}
