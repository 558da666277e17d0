"""What every workload of ours keeps to: Pod Security `restricted`, and rules of our own."""

import re
from typing import Any, Final

import pytest

from lastmetre.common.contracts.topics import SERVICES
from tests.deploy.commands import missing_from_the_image
from tests.deploy.rendering import OVERLAYS, Resource, named, pods, rendered

SECRET: Final = re.compile(r"KEY|PASSWORD|TOKEN|SECRET|CREDENTIAL|DATABASE_URL")
WORKLOADS: Final = [
    pytest.param(overlay, pod, id=f"{overlay}: {name}")
    for overlay in OVERLAYS
    for name, pod in pods(rendered(overlay))
]
every_workload = pytest.mark.parametrize(("overlay", "pod"), WORKLOADS)


def containers(pod: Resource) -> list[Resource]:
    return [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]


def settings_of(overlay: str) -> dict[str, str]:
    (found,) = [
        each["data"]
        for each in rendered(overlay)
        if each["kind"] == "ConfigMap" and each["metadata"]["name"].startswith("lastmetre-")
        and "KAFKA_BOOTSTRAP_SERVERS" in each["data"]
    ]  # fmt: skip
    return dict(found)


def test_there_are_four_services_and_four_jobs_in_each_overlay() -> None:
    """And the export of the ledger where there is a bucket."""
    assert len(WORKLOADS) == 8 * len(OVERLAYS) + 1


@every_workload
def test_pod_security_restricted(overlay: str, pod: Resource) -> None:
    """The standard's rules: kubernetes.io, Pod Security Standards, Restricted."""
    spec = pod["spec"]
    for field in ("hostNetwork", "hostPID", "hostIPC", "hostUsers"):
        assert field not in spec, field
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    allowed = {"configMap", "secret", "projected", "emptyDir", "persistentVolumeClaim"}
    assert all(set(each) - {"name"} <= allowed for each in spec["volumes"])
    for each in containers(pod):
        context = each["securityContext"]
        assert context == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        }
        assert not any("hostPort" in port for port in each.get("ports", []))


@every_workload
def test_images_have_a_version(overlay: str, pod: Resource) -> None:
    for each in containers(pod):
        name, _, tag = each["image"].rpartition(":")
        assert name.endswith("/lastmetre"), each["image"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", tag), each["image"]


@every_workload
def test_memory_is_limited_and_the_processor_is_asked_for(overlay: str, pod: Resource) -> None:
    for each in containers(pod):
        assert set(each["resources"]["requests"]) == {"cpu", "memory"}
        assert set(each["resources"]["limits"]) == {"memory"}, "a throttled loop misses heartbeats"


@every_workload
def test_no_secret_is_in_the_environment(overlay: str, pod: Resource) -> None:
    for each in containers(pod):
        for variable in each["env"]:
            assert set(variable) == {"name", "value"}, "secrets are files"
            if SECRET.search(variable["name"]):
                assert variable["name"].endswith("_FILE"), variable["name"]
                assert variable["value"].startswith("/run/lastmetre/"), variable["value"]
    for name in settings_of(overlay):
        assert not SECRET.search(name) or name.endswith("_FILE"), name


@every_workload
def test_files_that_are_named_are_mounted(overlay: str, pod: Resource) -> None:
    volumes = {each["name"] for each in pod["spec"]["volumes"]}
    for each in containers(pod):
        mounts = {mount["mountPath"]: mount["name"] for mount in each["volumeMounts"]}
        assert set(mounts.values()) == volumes
        told = {variable["name"]: variable["value"] for variable in each["env"]}
        for name, path in {**settings_of(overlay), **told}.items():
            if name.endswith("_FILE"):
                assert path.rpartition("/")[0] in mounts, f"{name}={path}"


@every_workload
def test_commands_exist(overlay: str, pod: Resource) -> None:
    assert [missing_from_the_image(each["command"]) for each in containers(pod)] == [""]


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (["python", "-m", "lastmetre.intakes"], "lastmetre.intakes"),
        (["lastmetre", "audits"], "audits"),
        (["lastmetre", "metrics", "verify", "--jason"], "--jason"),
        (["lastmetre", "metrics", "verify", "twice"], "twice"),
        (["lastmetre", "audit", "--timeout"], "--timeout"),
        (["lastmetre", "ledger", "export", "s3://bucket/ledger", "--json"], ""),
        (["sh", "-c", "true"], "sh"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: list[str], missing: str) -> None:
    assert missing_from_the_image(command) == missing


@every_workload
def test_nothing_comes_into_a_pod_unasked(overlay: str, pod: Resource) -> None:
    assert pod["spec"]["enableServiceLinks"] is False
    assert pod["spec"]["automountServiceAccountToken"] is False


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("service", SERVICES)
def test_services_are_probed_drained_and_spread(overlay: str, service: str) -> None:
    deployment = named(rendered(overlay), "Deployment", service)
    spec = deployment["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    probed = {
        name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")
    }
    assert probed == {
        "startup": {"path": "/livez", "port": "admin"},
        "liveness": {"path": "/livez", "port": "admin"},
        "readiness": {"path": "/readyz", "port": "admin"},
    }
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    number = SERVICES.index(service) + 1
    assert ports == {"http": 8100 + number, "admin": 8110 + number}
    pre_stop = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # Requests 4 s, consumers and relay 9 s, notify's sender 8 s, pools 1 s.
    assert spec["terminationGracePeriodSeconds"] > pre_stop + 4 + 9 + 8 + 1
    assert {each["topologyKey"] for each in spec["topologySpreadConstraints"]} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    budget = named(rendered(overlay), "PodDisruptionBudget", service)["spec"]
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    wanted = selector.get("matchLabels", {}).items()
    among = selector.get("matchExpressions", [])
    return wanted <= labels.items() and all(
        labels.get(each["key"]) in each["values"] for each in among
    )


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_selectors_match_the_pods_they_are_for(overlay: str) -> None:
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(rendered(overlay))}
    for each in rendered(overlay):
        kind, name, spec = each["kind"], each["metadata"]["name"], each.get("spec", {})
        if kind == "Service":
            found = [who for who, has in labels.items() if spec["selector"].items() <= has.items()]
            assert found == [f"Deployment {name.removesuffix('-admin')}"], name
        elif kind in ("Deployment", "PodDisruptionBudget"):
            found = [who for who, has in labels.items() if matches(spec["selector"], has)]
            assert found == [f"Deployment {name}"], name
        elif kind == "NetworkPolicy":
            assert any(matches(spec["podSelector"], has) for has in labels.values()), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_admin_port_is_reached_by_those_who_need_it(overlay: str) -> None:
    """Of our own pods dispatch and notify reach intake's vault, dispatch the messages' texts."""
    pods_by_name = {name: pod["metadata"]["labels"] for name, pod in pods(rendered(overlay))}
    reached = {
        (who, name)
        for each in rendered(overlay)
        if each["kind"] == "NetworkPolicy"
        for rule in each["spec"].get("ingress", [])
        if {"port": "admin"} in rule["ports"]
        for source in rule["from"]
        if "podSelector" in source
        for who, has in pods_by_name.items()
        if matches(source["podSelector"], has)
        for name, its in pods_by_name.items()
        if matches(each["spec"]["podSelector"], its)
    }
    assert reached == {
        ("Deployment dispatch", "Deployment intake"),
        ("Deployment notify", "Deployment intake"),
        ("Deployment dispatch", "Deployment notify"),
    }
