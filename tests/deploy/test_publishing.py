"""What proxies publish is what `contracts.publishing` says, and each route is there once."""

import re
from typing import Final

import pytest
import yaml

from lastmetre.common.contracts.publishing import RESIDENTS, STAFF, published_by
from tests.deploy.rendering import ROOT, rendered

NOWHERE: Final = re.compile(r"/|/api/.*")
"""An address's root leads elsewhere, and what programs ask below /api is for the city's network."""
SERVICES: Final = ("intake", "dispatch", "notify", "metrics")


def paths_of(document: str) -> list[str]:
    """Of a service's public port, or of its admin port."""
    text = (ROOT / "docs" / "openapi" / f"{document}.yaml").read_text("utf-8")
    return list(yaml.safe_load(text)["paths"])


def by_ingress(overlay: str) -> dict[str, dict[str, str]]:
    """By host: each prefix with its service."""
    return {
        rule["host"]: {
            path["path"]: path["backend"]["service"]["name"] for path in rule["http"]["paths"]
        }
        for each in rendered(overlay)
        if each["kind"] == "Ingress"
        for rule in each["spec"]["rules"]
    }


def by_gateway(overlay: str) -> dict[str, dict[str, str]]:
    """The same of the Gateway API."""
    return {
        each["spec"]["hostnames"][0]: {
            match["path"]["value"]: rule["backendRefs"][0]["name"]
            for rule in each["spec"]["rules"]
            for match in rule["matches"]
        }
        for each in rendered(overlay)
        if each["kind"] == "HTTPRoute"
    }


@pytest.mark.parametrize(
    "found", [by_ingress("cluster"), by_ingress("one-node"), by_gateway("external")]
)
def test_two_hosts_have_our_prefixes_and_nothing_else(found: dict[str, dict[str, str]]) -> None:
    assert found == {"report.lastmetre.example": RESIDENTS, "staff.lastmetre.example": STAFF}


def test_the_list_is_that_of_the_security_page() -> None:
    text = (ROOT / "docs" / "security.md").read_text("utf-8")
    paragraph = text.split("## What to publish\n\n")[1].split("\n\n")[0]
    hosts = re.split(r"staff's host", paragraph)
    assert [set(re.findall(r"`(/[a-z/-]+)`", each)) for each in hosts] == [
        set(RESIDENTS), set(STAFF),
    ]  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_every_route_is_reached_on_one_host_and_nothing_that_is_not_to_be(service: str) -> None:
    for path in paths_of(service):
        reached = [host for host in (RESIDENTS, STAFF) if published_by(host, path) == service]
        assert len(reached) == (0 if NOWHERE.fullmatch(path) else 1), path
    for path in paths_of(f"{service}-admin"):
        assert not [host for host in (RESIDENTS, STAFF) if published_by(host, path)], path


def test_no_prefix_leads_nowhere() -> None:
    for host in (RESIDENTS, STAFF):
        assert "/" not in host
        for prefix, service in host.items():
            served = any(f"{path}/".startswith(f"{prefix}/") for path in paths_of(service))
            assert served or prefix.endswith("/static"), prefix


def test_ports_are_the_public_ones() -> None:
    ports = {
        (each["name"], each["port"])
        for overlay in ("external",)
        for route in rendered(overlay)
        if route["kind"] == "HTTPRoute"
        for rule in route["spec"]["rules"]
        for each in rule["backendRefs"]
    }
    assert ports == {("intake", 8101), ("dispatch", 8102), ("notify", 8103), ("metrics", 8104)}
