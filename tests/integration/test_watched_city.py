"""What dashboards and rules ask for is there: every query against a real Prometheus that has read a
real stack. Counters of trouble give 0 where nothing has happened."""

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.observability.rules import ROOT, RULES, rules
from tests.support.city import City
from tests.support.commands import attempt
from tests.support.prometheus import Prometheus, prometheus, textfile

DASHBOARDS: Final = sorted((ROOT / "deploy/grafana/dashboards").glob("*.json"))
SELECTOR: Final = re.compile(r"(?:lastmetre[a-z_:0-9]*|\bup)(?:\{[^}]*\})?")
READ_SECONDS: Final = 60.0
PHONE: Final = "13800138000"
# What has been observed at least so often, once a city has lived as below.
HAPPENED: Final = {
    "lastmetre_report_to_case_seconds_count": 3,
    "lastmetre_report_to_message_seconds_count": 2,
    'lastmetre_message_wait_seconds_count{recipient="lead"}': 2,
    'lastmetre_message_wait_seconds_count{recipient="reporter"}': 1,
    'lastmetre_provider_call_duration_seconds_count{result="ended"}': 1,
    'lastmetre_vault_call_duration_seconds_count{service="notify", result="ok"}': 1,
    'lastmetre_vault_call_duration_seconds_count{service="dispatch", result="ok"}': 1,
    "lastmetre_http_request_duration_seconds_count{"
    'service="intake", method="POST", route="/channels/{channel}/reports", status="2xx"}': 3,
    "lastmetre_http_request_duration_seconds_count{"
    'service="notify", route="/api/notify/v1/ratings/{token}", status="2xx"}': 1,
    'lastmetre_rebalances_total{service="dispatch", consumer="requests"}': 1,
    "max(lastmetre_channels_trimmed_timestamp_seconds) > bool 1700000000": 1,
    'lastmetre_database_connections_limit{service="metrics", pool="requests"}': 1,
}


def panel_queries() -> Iterator[tuple[str, str]]:
    """Every panel's queries, with the names of dashboard and panel."""
    for file in DASHBOARDS:
        dashboard = json.loads(file.read_text("utf-8"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                name = f"{file.stem}: {panel['title']}"
                query = target["expr"].replace("$__rate_interval", "1m")
                for service in SERVICES if "$service" in query else ("",):
                    yield f"{name} {service}", query.replace("$service", service)


def rule_queries() -> Iterator[tuple[str, str]]:
    """What rules record, and the series that alerts compare: these compare to nothing if all is
    well."""
    for rule in rules():
        if "record" in rule:
            yield rule["record"], f"{rule['record']}{selected(rule.get('labels', {}))}"
        for selector in SELECTOR.findall(rule["expr"]):
            yield rule.get("record") or rule["alert"], selector


def selected(labels: dict[str, str]) -> str:
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


async def lived_through(city: City) -> None:
    """Cases in every state that a figure is about: closed and rated, not accepted, unplaced."""
    await city.import_network()
    contact = {"phone": PHONE}
    kept = await city.http.put(
        city.url("intake", "/api/intake/v1/lead-contacts"),
        json={"contacts": [{"lead_id": "L0", **contact}]},
        headers=city.bearer(Role.ADMINISTRATOR),
    )
    assert kept.json() == {"kept": 1}
    told = [await city.new_case(f"watched-{uuid.uuid4()}", contact=contact) for _ in range(2)]
    nowhere = await city.new_case(f"watched-{uuid.uuid4()}", position=None)
    assert (await city.act(told[0], "resolve")).status_code == 200

    async def closed() -> bool:
        return (await city.state(told[0]))[1] == "closed"

    await city.until(closed, "closing")
    closing, _ = await city.state(told[0])

    async def rated() -> bool:
        return (await city.rate(told[0], closing)).is_success

    await city.until(rated, "rating")
    assert (await city.state(nowhere))[1] == "unplaced"
    await city.http.get(city.url("dispatch", "/centre"), headers=city.bearer(Role.OPERATOR))


async def missing(asking: Prometheus) -> list[str]:
    """The queries without a series, and what has not been observed."""
    queries = dict.fromkeys([*panel_queries(), *rule_queries()])
    without = [f"{name}: {query}" for name, query in queries if not await asking.asked(query)]
    for query, least in HAPPENED.items():
        if sum(value for _, value in await asking.asked(query)) < least:
            without.append(f"less than {least} of {query}")
    return without


@pytest.mark.slow
async def test_every_panel_and_every_rule_has_its_series(town: Stack, tmp_path: Path) -> None:
    verdict, exported = tmp_path / "audit.prom", tmp_path / "ledger.prom"
    async with City(town.endpoints.model_dump(mode="json", by_alias=True)) as city:
        await lived_through(city)
        code, said, complained = await attempt(town, "audit", "--metrics-file", verdict)
        assert code == 0, said + complained
        assert "lastmetre_audit_balanced 1.0" in verdict.read_text("utf-8").splitlines()
        export = ("ledger", "export", tmp_path / "ledger", "--metrics-file", exported)
        code, said, complained = await attempt(town, *export)
        assert code == 0, said + complained
        with textfile(verdict) as audited, textfile(exported) as copied:
            async with prometheus(city, tmp_path, RULES, [audited, copied]) as asking:
                await _complete(city, asking)


async def _complete(city: City, asking: Prometheus) -> None:
    left: list[str] = []

    async def complete() -> bool:
        # Shares of nothing are none: something has to happen while it is looked at.
        await city.report(f"watched-{uuid.uuid4()}", contact={"phone": PHONE})
        left[:] = await missing(asking)
        return not left

    try:
        await city.until(complete, "series for each query", READ_SECONDS)
    except TimeoutError:
        pytest.fail("\n".join(left))
