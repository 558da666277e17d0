"""The compose files of one server: restarts, limits, logs, secrets, and what is published."""

import re
from functools import cache
from ipaddress import ip_address, ip_network
from typing import Any, Final

import pytest
import yaml

from lastmetre.cli.secret_files import Platform, secret_folders
from lastmetre.common.contracts.publishing import RESIDENTS, STAFF
from lastmetre.common.contracts.topics import SERVICES
from tests.deploy.commands import missing_from_the_image
from tests.deploy.rendering import ROOT

COMPOSE: Final = ROOT / "deploy" / "compose"
ONCE: Final = {
    "databases", "topics", "command", "backup-begin", "base-backup", "backup", "restore",
}  # fmt: skip
ALL_SECRETS: Final = "${SECRETS:-./secrets}"
MONITORING: Final = {"prometheus", "alertmanager", "node-exporter", "grafana"}
SERVERS: Final = {"kafka", "postgresql", "proxy", *SERVICES}
SECRET: Final = re.compile(r"KEY|PASSWORD|TOKEN|SECRET|DATABASE_URL|SUPERUSER_URL")
IMAGE: Final = re.compile(r"\$\{[A-Z_]+_IMAGE(:\?[^}]+|:-docker\.io/[a-z/-]+:v?\d+\.\d+(\.\d+)?)\}")


@cache
def parsed(file: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((COMPOSE / file).read_text("utf-8"))
    return document


def services() -> dict[str, dict[str, Any]]:
    return {**parsed("compose.yaml")["services"], **parsed("compose.monitoring.yaml")["services"]}


def settings(file: str) -> dict[str, str]:
    lines = (COMPOSE / file).read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_these_run() -> None:
    assert services().keys() == SERVERS | MONITORING | ONCE


@pytest.mark.parametrize("name", sorted(SERVERS | MONITORING))
def test_what_runs_is_restarted_and_limited(name: str) -> None:
    service = services()[name]
    assert service["restart"] == "unless-stopped"
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])


@pytest.mark.parametrize("name", sorted(SERVERS | MONITORING | ONCE))
def test_logs_are_rotated_and_images_have_a_version(name: str) -> None:
    service = services()[name]
    assert service["logging"]["options"] == {"max-size": "10m", "max-file": "5"}
    assert IMAGE.fullmatch(service["image"]), service["image"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", [*SERVICES, "kafka", "postgresql"])
def test_what_others_need_is_asked_whether_it_is_well(name: str) -> None:
    words = " ".join(services()[name]["healthcheck"]["test"])
    number = {each: index for index, each in enumerate(SERVICES, start=8111)}
    assert name not in number or f"http://127.0.0.1:{number[name]}/readyz" in words


@pytest.mark.parametrize("name", [*SERVICES, "databases", "topics"])
def test_ours_runs_as_nobody_with_a_command_of_the_image(name: str) -> None:
    service = services()[name]
    assert service["user"] == "65532:65532"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert missing_from_the_image(service["command"]) == ""


@pytest.mark.parametrize("name", sorted(SERVERS | MONITORING | ONCE))
def test_no_secret_is_in_the_environment(name: str) -> None:
    for variable, value in services()[name].get("environment", {}).items():
        if SECRET.search(variable):
            assert variable.endswith("FILE"), variable
            assert value.startswith("/run/lastmetre/"), value


@pytest.mark.parametrize("file", ["settings.env", "city.env.example", ".env.example"])
def test_no_secret_is_in_a_file_of_settings(file: str) -> None:
    for name, value in settings(file).items():
        assert not SECRET.search(name) or value.startswith("/run/lastmetre/"), name


def test_secrets_are_mounted_where_they_are_named_and_all_of_them_are_made() -> None:
    made = secret_folders(Platform.COMPOSE, bytes)
    for name, service in services().items():
        mounts = {
            target: source.removeprefix("${SECRETS:-./secrets}/")
            for volume in service.get("volumes", [])
            for source, target in [volume.removesuffix(":ro").rsplit(":", 1)]
            if source.startswith("${SECRETS") and source != ALL_SECRETS
        }
        assert {each.split("/")[0] for each in mounts.values()} <= made.keys(), name
        shared = settings("settings.env") if name in SERVICES else {}
        for value in {**shared, **service.get("environment", {})}.values():
            folder, _, file = value.rpartition("/")
            if value.startswith("/run/lastmetre/"):
                assert file in made[mounts[folder]].files, f"{name}: {value}"


def test_all_secrets_are_seen_by_who_seals_them_and_who_brings_them_back() -> None:
    seen = {
        name: volume.removeprefix(ALL_SECRETS)
        for name, each in services().items()
        for volume in each.get("volumes", [])
        if volume.startswith(f"{ALL_SECRETS}:")
    }
    assert seen == {"backup": ":/secrets:ro", "restore": ":/secrets"}


def test_a_backup_is_begun_before_the_base_backup_and_finished_after_it() -> None:
    for after, before in (("base-backup", "backup-begin"), ("backup", "base-backup")):
        condition = services()[after]["depends_on"][before]["condition"]
        assert condition == "service_completed_successfully"
    for name in ("backup-begin", "base-backup", "backup", "restore"):
        assert services()[name]["profiles"] == ["command"]
        assert "${BACKUPS:?}:/backups" in services()[name]["volumes"]
    begun = (COMPOSE / "postgresql" / "backup.sh").read_text("utf-8")
    assert "--pgdata /backups/begun/postgresql" in begun
    assert "--manifest-checksums SHA256" in begun
    assert "kafka:/kafka:ro" in services()["backup"]["volumes"]


def test_a_service_sees_no_keys_of_another() -> None:
    for name in SERVICES:
        seen = [each for each in services()[name]["volumes"] if "SECRETS" in each]
        assert [each.split("/")[2].split(":")[0] for each in seen] == [
            f"keys-{name}",
            f"database-{name}",
        ]


def test_the_proxy_alone_is_reached_from_outside() -> None:
    published = {name: each["ports"] for name, each in services().items() if "ports" in each}
    assert published.pop("proxy") == ["80:80", "443:443"]
    assert published.keys() == MONITORING - {"node-exporter"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert parsed("compose.yaml")["networks"]["inside"]["internal"] is True
    outside = {name for name, each in services().items() if "outside" in each["networks"]}
    assert outside == {"intake", "notify", *MONITORING} - {"node-exporter"}
    assert (
        settings("settings.env")["LASTMETRE_TRUSTED_PROXIES"]
        == (services()["proxy"]["networks"]["inside"]["ipv4_address"])
    )


@pytest.mark.parametrize("name", SERVICES)
def test_the_proxy_reaches_each_service_from_the_address_that_is_trusted(name: str) -> None:
    """In another network that both are in it has another one: who asks, and by TLS, is unknown."""
    proxy, service = (set(services()[each]["networks"]) for each in ("proxy", name))
    assert proxy & service == {"inside"}


def test_nobody_else_can_be_given_the_address_of_the_proxy() -> None:
    (config,) = parsed("compose.yaml")["networks"]["inside"]["ipam"]["config"]
    address = ip_address(services()["proxy"]["networks"]["inside"]["ipv4_address"])
    assert address in ip_network(config["subnet"])
    assert address not in ip_network(config["ip_range"])


def test_the_proxy_publishes_our_prefixes_and_nothing_else() -> None:
    text = (COMPOSE / "proxy" / "Caddyfile").read_text("utf-8")
    hosts = re.findall(r"^\{\$(\w+_HOST)\} \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    found = {
        host: {
            path: name
            for name, paths in re.findall(r"@(\w+) path (.*)", block)
            for path in paths.split()
        }
        for host, block in hosts
    }
    wanted = {"RESIDENTS_HOST": RESIDENTS, "STAFF_HOST": STAFF}
    assert found == {
        host: {each: name for path, name in paths.items() for each in (path, f"{path}/*")}
        for host, paths in wanted.items()
    }
    for host, block in hosts:
        proxied = dict(re.findall(r"handle @(\w+) \{\s+reverse_proxy (\S+) \{", block))
        ports = {name: f"{name}:{port}" for port, name in enumerate(SERVICES, start=8101)}
        assert proxied == {name: ports[name] for name in wanted[host].values()}
        assert "import common" in block
    # Outside such a block it would come before every proxy: Caddy has an order of its own.
    assert re.findall(r"handle \{\s+respond 404\s+\}", text)
    assert text.count("respond 404") == 1


def test_prometheus_has_the_rules_and_the_key_where_its_file_names_them() -> None:
    folder = ROOT / "deploy" / "prometheus"
    document = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
    assert document["rule_files"] == ["rules/*.yaml"]
    keys = [
        job["authorization"]["credentials_file"]
        for job in document["scrape_configs"]
        if "authorization" in job
    ]
    prometheus = services()["prometheus"]
    assert "--config.file=/etc/prometheus/prometheus.yml" in prometheus["command"]
    assert "../prometheus:/etc/prometheus:ro" in prometheus["volumes"]
    mounted = "${SECRETS:-./secrets}/prometheus/service_key"
    assert [f"{mounted}:{key}:ro" for key in keys] == [
        each for each in prometheus["volumes"] if mounted in each
    ]
    targets = {
        target.split(":")[0]
        for job in document["scrape_configs"]
        for config in job.get("static_configs", [])
        for target in config["targets"]
    }
    # By name service: a service's name leads to all its processes.
    names = {
        name
        for job in document["scrape_configs"]
        for config in job.get("dns_sd_configs", [])
        for name in config["names"]
    }
    assert names == set(SERVICES)
    assert targets <= services().keys()


def test_every_setting_is_one_that_the_documents_explain() -> None:
    told_of = "".join(
        (ROOT / "docs" / each).read_text("utf-8") for each in ("configuration.md", "commands.md")
    )
    explained = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", told_of))
    told = {*settings("settings.env"), *settings("city.env.example")}
    for name in SERVICES:
        told |= services()[name]["environment"].keys()
    own = {"RESIDENTS_HOST", "STAFF_HOST", "LASTMETRE_TLS"}
    assert {each.removesuffix("_FILE") if each not in explained else each for each in told} <= (
        explained | own
    )
