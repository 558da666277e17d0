"""What a proxy publishes: prefixes that `docs/security.md` lists, of the service that has them."""

import re
from functools import cache
from typing import Final

import pytest
import yaml

from tests.deploy.rendering import ROOT, rendered

PUBLISHED: Final = {
    "/report", "/progress", "/cases", "/channels", "/work", "/centre", "/board", "/indicators",
    "/messages", "/rate", "/network", "/sign-in", "/sign-out",
}  # fmt: skip
NOT_PAGES: Final = {"", "api"}
"""The first words of paths that are not published: an address's root leads elsewhere."""
STATIC: Final = "/report/static"
"""What intake's pages on both hosts load."""
# intake's /cases/{receipt} and dispatch's /cases/{number} need hosts of their own.
RESIDENTS: Final = {
    "/report": "intake", "/progress": "intake", "/cases": "intake", "/channels": "intake",
    "/rate": "notify",
}  # fmt: skip
STAFF: Final = {
    "/work": "dispatch", "/centre": "dispatch", "/cases": "dispatch", "/network": "dispatch",
    "/sign-in": "intake", "/sign-out": "intake", STATIC: "intake",
    "/board": "metrics", "/indicators": "metrics", "/messages": "notify", "/rate": "notify",
}  # fmt: skip


@cache
def prefixes_of(service: str) -> frozenset[str]:
    """The first words of the paths of a service's public port."""
    document = yaml.safe_load((ROOT / "docs" / "openapi" / f"{service}.yaml").read_text("utf-8"))
    words = {path.split("/")[1] for path in document["paths"]}
    return frozenset(f"/{word}" for word in words - NOT_PAGES)


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
    paragraph = text.split("## What to publish\n\n")[1].split("and what these pages load")[0]
    assert set(re.findall(r"`(/[a-z-]+)`", paragraph)) == PUBLISHED
    assert RESIDENTS.keys() | STAFF.keys() == PUBLISHED | {STATIC}


@pytest.mark.parametrize("service", ["intake", "dispatch", "notify", "metrics"])
def test_every_page_of_a_service_is_published(service: str) -> None:
    published = {
        prefix
        for host in (RESIDENTS, STAFF)
        for prefix, name in host.items()
        if name == service and prefix != STATIC
    }
    assert published == prefixes_of(service)


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
