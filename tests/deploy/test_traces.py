"""Traces are switched on by a file of compose, or a component of Kustomize, and by nothing else."""

import shutil
from pathlib import Path
from typing import Final

import pytest
import yaml

from lastmetre.common.contracts.topics import SERVICES
from tests.deploy.rendering import KUBERNETES, OVERLAYS, Resource, named, render, rendered
from tests.deploy.test_compose import COMPOSE, IMAGE, parsed

ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


def settings_of(resources: tuple[Resource, ...]) -> dict[str, str]:
    """What all services of an overlay are told."""
    [found] = [
        each["data"]
        for each in resources
        if each["kind"] == "ConfigMap" and "KAFKA_BOOTSTRAP_SERVERS" in each["data"]
    ]
    return dict(found)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_cluster_exports_nothing_until_it_has_the_component(overlay: str, tmp_path: Path) -> None:
    assert ENDPOINT not in settings_of(rendered(overlay))
    shutil.copytree(KUBERNETES, tmp_path / "kubernetes")
    folder = tmp_path / "kubernetes" / "overlays" / overlay
    file = folder / "kustomization.yaml"
    document = yaml.safe_load(file.read_text("utf-8"))
    document["components"].append("../../components/traces")
    file.write_text(yaml.safe_dump(document), "utf-8")
    with_traces = render(folder)
    address = settings_of(with_traces)[ENDPOINT]
    [rule] = named(with_traces, "NetworkPolicy", "to-the-collector-of-traces")["spec"]["egress"]
    assert rule["ports"] == [{"port": int(address.rpartition(":")[2])}]
    assert settings_of(with_traces).keys() >= settings_of(rendered(overlay)).keys()


def test_one_server_exports_nothing_without_the_file() -> None:
    for each in COMPOSE.glob("*.env*"):
        assert ENDPOINT not in each.read_text("utf-8")
    services = parsed("compose.traces.yaml")["services"]
    jaeger = services.pop("jaeger")
    assert {
        name: each["environment"][ENDPOINT] for name, each in services.items()
    } == dict.fromkeys(SERVICES, "http://jaeger:4318")
    assert IMAGE.fullmatch(jaeger["image"])
    assert all(each.startswith("127.0.0.1:") for each in jaeger["ports"])
    assert jaeger["read_only"] is True
    assert jaeger["cap_drop"] == ["ALL"]
    assert (jaeger["restart"], jaeger["mem_limit"]) == ("unless-stopped", "1g")
