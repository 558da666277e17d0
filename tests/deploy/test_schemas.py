"""Every resource is what Kubernetes 1.37 and the operators take; unknown fields are refused."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import kubernetes_validate
import pytest

from tests.deploy.rendering import OVERLAYS, SCHEMAS, Resource, named, rendered
from tests.deploy.schemas import faults, operators

KUBERNETES_VERSION = "1.37"
OWN_GROUPS = ("apps", "batch", "policy", "networking.k8s.io")
WITHOUT_A_SCHEMA = {"HTTPRoute": "Gateway API", "ObjectStore": "the Barman plugin"}
needs_schemas = pytest.mark.skipif(
    not SCHEMAS.is_dir(),
    reason=f"the operators' schemas are not in {SCHEMAS}: Strimzi, CloudNativePG, KEDA, Prometheus",
)


@pytest.fixture(scope="module", autouse=True)
def schemas_read_once() -> Iterator[None]:
    """The library reads all definitions anew for each resource: a third of a second."""
    with pytest.MonkeyPatch.context() as patch:
        reading = kubernetes_validate.utils.schema_contents
        patch.setattr(kubernetes_validate.utils, "schema_contents", cache(reading))
        yield


def of_kubernetes(resource: Resource) -> bool:
    group, _, version = resource["apiVersion"].rpartition("/")
    return group in OWN_GROUPS or resource["apiVersion"] == version


def refused(resource: Resource) -> str:
    """Why Kubernetes refuses it; empty if it does not."""
    try:
        kubernetes_validate.validate(resource, KUBERNETES_VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{resource['kind']} {resource['metadata']['name']}: {error.message}"
    return ""


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_takes_its_own_kinds(overlay: str) -> None:
    own = [each for each in rendered(overlay) if of_kubernetes(each)]
    assert {each["kind"] for each in own} >= {"Deployment", "Service", "NetworkPolicy", "CronJob"}
    assert [said for each in own if (said := refused(each))] == []


@needs_schemas
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_operators_take_theirs(overlay: str) -> None:
    theirs = [
        each
        for each in rendered(overlay)
        if not of_kubernetes(each) and each["kind"] not in WITHOUT_A_SCHEMA
    ]
    found = {
        f"{each['kind']} {each['metadata']['name']}": said
        for each in theirs
        if (said := faults(each))
    }
    assert found == {}


@needs_schemas
@pytest.mark.parametrize("kind", sorted(WITHOUT_A_SCHEMA))
def test_a_kind_is_left_out_only_while_there_is_no_schema(kind: str) -> None:
    assert kind not in {known for _, known in operators()}, "now it can be validated"


def changed(resource: Resource, path: tuple[str | int, ...], value: Any) -> Resource:
    made = copy.deepcopy(resource)
    place: Any = made
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return made


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "replicaz"), 3),
        (("spec", "template", "spec", "containers", 0, "readinessprobe"), {}),
        (("spec", "minReadySeconds"), "ten"),
    ],
)
def test_a_wrong_deployment_is_refused(path: tuple[str | int, ...], value: Any) -> None:
    assert refused(changed(named(rendered("cluster"), "Deployment", "intake"), path, value))


@needs_schemas
@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        ("KafkaTopic", "reports", ("spec", "partitions"), 0),
        ("KafkaUser", "lastmetre-intake", ("spec", "authorization", "acl"), []),
        ("Kafka", "lastmetre", ("spec", "kafka", "listeners", 0, "tsl"), True),
        ("Cluster", "lastmetre-postgresql", ("spec", "instances"), "three"),
        ("ScaledObject", "notify", ("spec", "minReplicas"), 3),
    ],
)
def test_a_wrong_resource_of_an_operator_is_refused(
    kind: str, name: str, path: tuple[str | int, ...], value: Any
) -> None:
    assert faults(changed(named(rendered("cluster"), kind, name), path, value))
