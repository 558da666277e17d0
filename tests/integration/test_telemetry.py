"""What services tell of themselves: health, metrics by one registry, logs that name case and trace.

Figures are read by a real Prometheus; Debian's package brings it (`apt-get install prometheus`).
"""

import asyncio
import json
import uuid
from asyncio.subprocess import PIPE, STDOUT
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families

from lastmetre.common.contracts.requests import ActionRequested
from lastmetre.common.contracts.topics import FIELD_ACTIONS, SERVICES
from lastmetre.common.security.callers import Role
from lastmetre.common.telemetry import metrics as registry
from lastmetre.devstack import Stack
from lastmetre.devstack.services import checked_out_revision
from lastmetre.metrics.entrypoints.prometheus_view import FAMILIES
from tests.observability.rules import program
from tests.support.city import TRACE, City
from tests.support.prometheus import prometheus

REGISTERED = {
    family.name
    for found in vars(registry).values()
    if isinstance(found, MetricWrapperBase)
    for family in found.describe()
} - {
    family.name
    for of_a_command in (registry.AUDIT, registry.LEDGER_EXPORT)
    for family in of_a_command.collect()
}
# No sample of it until something goes wrong.
ONLY_IN_TROUBLE = {"lastmetre_steps_told_late"}


async def exposed(city: City, service: str) -> str:
    answer = await city.http.get(city.url(service, "/metrics"))
    assert answer.status_code == 200
    return answer.text


async def lived_through(city: City) -> uuid.UUID:
    """A case from its report to its closing."""
    await city.import_network()
    case_id = await city.new_case(f"told-{uuid.uuid4()}")
    assert (await city.act(case_id, "resolve")).status_code == 200
    metrics = await city.database("metrics")

    async def counted() -> bool:
        return bool(await metrics.fetchval(
            "SELECT state = 'closed' AND EXISTS (SELECT FROM message) FROM fact WHERE case_id = $1",
            case_id,
        ))  # fmt: skip

    await city.until(counted, "fact and message")
    return case_id


def last_line(stack: Stack, service: str) -> dict[str, Any]:
    """The last line that a service has logged."""
    line: dict[str, Any] = json.loads(stack.log(service).read_text("utf-8").splitlines()[-1])
    return line


async def test_every_service_tells_whether_it_is_well_and_which_build_it_is(
    stack: Stack, city: City
) -> None:
    revision = checked_out_revision()
    for service in SERVICES:
        build = {"version": version(f"lastmetre-{service}"), "revision": revision}
        for path in ("/livez", "/readyz", "/readyz?all"):
            answer = await city.http.get(city.url(service, path))
            assert answer.status_code == 200
            body = answer.json()
            assert datetime.fromisoformat(body.pop("time")).utcoffset() == timedelta(0)
            assert body == {"status": "ok", "missing": [], **build}
            public = f"{city.endpoints['services'][service]}{path}"
            assert (await city.http.get(public)).status_code == 404
        assert build in [
            {name: sample.labels[name] for name in build}
            for family in text_string_to_metric_families(await exposed(city, service))
            for sample in family.samples
            if sample.name == "lastmetre_build_info" and sample.labels["service"] == service
        ]
        assert build.items() <= last_line(stack, service).items()


async def test_metrics_are_those_of_the_registry(city: City) -> None:
    await lived_through(city)

    async def sampled() -> set[str]:
        found: set[str] = set()
        for service in SERVICES:
            for family in text_string_to_metric_families(await exposed(city, service)):
                if not family.name.startswith(("python_", "process_")):
                    assert family.name in REGISTERED, f"{service}: {family.name}"
                    found |= {family.name} if family.samples else set()
        return found

    async def complete() -> bool:
        return (await sampled()) | ONLY_IN_TROUBLE == REGISTERED

    await city.until(complete, f"sample of each of {REGISTERED - await sampled()}")
    answer = await city.http.get(
        city.url("metrics", "/indicators"),
        params={"format": "prometheus"},
        headers=city.bearer(Role.SUPERVISOR),
    )
    figures = {family.name for family in text_string_to_metric_families(answer.text)}
    assert figures <= set(FAMILIES)
    assert not REGISTERED & set(FAMILIES)


async def test_promtool_has_nothing_to_say(city: City) -> None:
    promtool = program("promtool")
    for service in SERVICES:
        text = await exposed(city, service)
        process = await asyncio.create_subprocess_exec(
            promtool, "check", "metrics",
            stdin=PIPE, stdout=PIPE, stderr=STDOUT,
        )  # fmt: skip
        said, _ = await process.communicate(text.encode())
        assert (process.returncode, said) == (0, b""), service


async def test_a_prometheus_answers_with_our_figures(city: City, tmp_path: Path) -> None:
    await lived_through(city)
    cases = (await city.indicators())["groups"][0]["cases"]

    async with prometheus(city, tmp_path) as asking:

        async def read() -> list[float]:
            query = 'sum(lastmetre_cases{job="lastmetre-indicators",state="closed"})'
            return [value for _, value in await asking.asked(query)]

        assert await city.until(read, "figure") == [cases["closed"]]

        async def ups() -> bool:
            jobs = await asking.asked("count by (job) (up == 1)")
            return {labels["job"]: value for labels, value in jobs} == {
                "lastmetre": 4,
                "lastmetre-indicators": 1,
            }

        await city.until(ups, "answer of every target")
        consumed = await asking.asked("sum by (service) (lastmetre_records_consumed_total)")
        assert {labels["service"] for labels, _ in consumed} == set(SERVICES)


async def test_logs_name_the_case_and_the_trace(stack: Stack, city: City) -> None:
    case_id = await lived_through(city)
    kind = [("ce_type", ActionRequested.TYPE.encode()), ("traceparent", TRACE.encode())]
    place = await city.produce(FIELD_ACTIONS, str(case_id).encode(), b"not JSON", kind)
    refused = await city.act(case_id, "accept")
    assert refused.status_code == 409

    async def lines() -> list[dict[str, Any]]:
        told = stack.log("dispatch").read_text("utf-8").splitlines()
        found = [json.loads(line) for line in told if str(case_id) in line]
        return found if len(found) == 2 else []

    both = await city.until(lines, "two lines of the log")
    dead, refusal = sorted(both, key=lambda line: "action" in line)
    assert (dead["topic"], dead["partition"], dead["offset"]) == (FIELD_ACTIONS, *place)
    assert dead["trace_id"] == TRACE.split("-")[1]
    assert (refusal["action"], refusal["reason"]) == ("accept", "not_allowed_in_state")
    assert len(refusal["trace_id"]) == 32
    for each in (dead, refusal):
        assert {"service", "level", "timestamp"} <= set(each)
        assert each["service"] == "dispatch"
