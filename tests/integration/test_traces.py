"""Traces as a collector has them: one from the POST of a report to the lead's message."""

import json
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lastmetre.common.contracts.topics import REPORTS
from lastmetre.common.contracts.vault import VAULT_PREFIX
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from tests.support.city import City, IntakeAlone, eventually, inside, submitted
from tests.support.city.own import own_environment
from tests.support.collector import Collector, Seen, collecting
from tests.support.mailbox import Mailbox, listening

pytestmark = pytest.mark.slow

EMAIL: Final = "wang.l0@lead.example"
PHONE: Final = "13800138000"
TEXT: Final = "路灯不亮在三号楼"
CALLER: Final = "b7ad6b7169203331"
EVERY: Final = {"OTEL_BSP_SCHEDULE_DELAY": "100"}
OPENMETRICS: Final = {"Accept": "application/openmetrics-text;version=1.0.0"}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as running:
        yield running


@pytest.fixture
def mail_port() -> int:
    return free_port()


@pytest.fixture
def traced(stack: Stack, collector: Collector, mail_port: int, tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own that exports spans, and sends mail."""
    environment = own_environment(stack) | EVERY
    environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.address,
        "NOTIFY_SMTP_HOST": "127.0.0.1",
        "NOTIFY_SMTP_PORT": str(mail_port),
        "NOTIFY_SMTP_STARTTLS": "false",
    }
    with Stack(tmp_path / "home", environment=environment) as running:
        yield running


@pytest.fixture
async def traced_city(traced: Stack) -> AsyncIterator[City]:
    async with City(traced.endpoints.model_dump(mode="json", by_alias=True)) as opened:
        await opened.import_network()
        contacts = [{"lead_id": "L0", "email": EMAIL, "language": "zh"}]
        kept = await opened.http.put(
            opened.url("intake", f"{VAULT_PREFIX}/lead-contacts"),
            json={"contacts": contacts},
            headers=opened.bearer(Role.ADMINISTRATOR),
        )
        assert kept.is_success, kept.text
        yield opened


# Who did what, and below what: the way of a report to its lead.
WAY: Final = {
    "intake: POST /channels/{channel}/reports": "",
    "intake: send channels.app": "intake: POST /channels/{channel}/reports",
    "intake: process intake.channels": "intake: POST /channels/{channel}/reports",
    "intake: send reports": "intake: process intake.channels",
    "dispatch: process dispatch.requests": "intake: process intake.channels",
    "dispatch: send case.events": "dispatch: process dispatch.requests",
    "notify: process notify.cases": "dispatch: process dispatch.requests",
    "notify: ask for addresses": "notify: process notify.cases",
    "notify: POST": "notify: ask for addresses",
    "intake: POST /api/intake/v1/contacts": "notify: POST",
    "notify: send by smtp": "notify: process notify.cases",
    "notify: send notify.deliveries": "notify: send by smtp",
    "intake: process intake.cases": "dispatch: process dispatch.requests",
    "metrics: process metrics.cases": "dispatch: process dispatch.requests",
    "metrics: process metrics.reports": "intake: process intake.channels",
    "metrics: process metrics.deliveries": "notify: process notify.cases",
}
STATEMENTS: Final = {
    "intake: process intake.channels": {"BEGIN", "INSERT", "COMMIT"},
    "dispatch: process dispatch.requests": {"BEGIN", "INSERT", "COMMIT"},
    "notify: process notify.cases": {"BEGIN", "COMMIT"},  # it inserts by COPY
    "intake: POST /api/intake/v1/contacts": {"SELECT"},
}


def wrong(spans: list[Seen]) -> list[str]:
    """What of the way is not in a trace yet, or not where it belongs."""
    titles = {each.span_id: each.title for each in spans} | {CALLER: ""}
    found = [f"{each.title} is below nothing" for each in spans if each.parent_id not in titles]
    for title, above in WAY.items():
        parents = {titles.get(each.parent_id) for each in spans if each.title == title}
        if above not in parents:
            found.append(f"{title} is below {parents}")
    for title, statements in STATEMENTS.items():
        ids = {each.span_id for each in spans if each.title == title}
        if left := statements - {each.name for each in spans if each.parent_id in ids}:
            found.append(f"{title} without {left}")
    return found + [f"{each.title} has failed" for each in spans if each.failed]


async def test_one_trace_from_the_report_to_the_message(
    traced: Stack, traced_city: City, collector: Collector, mail_port: int
) -> None:
    city, mailbox, trace_id = traced_city, Mailbox(), uuid.uuid4().hex
    body = {
        "source_id": f"traced-{trace_id}",
        "text": TEXT,
        "position": inside(0),
        "contact": {"phone": PHONE},
    }
    headers = {"traceparent": f"00-{trace_id}-{CALLER}-01"}
    async with listening(mailbox, mail_port):
        answer = await city.http.post(
            city.url("intake", "/channels/app/reports"),
            json=body,
            headers=headers | city.credentials.channel("app"),
        )
        assert answer.status_code == 202
        left: list[str] = []

        async def complete() -> bool:
            left[:] = wrong(collector.trace(trace_id))
            return not left

        try:
            await city.until(complete, "the whole trace")
        except TimeoutError:
            pytest.fail("\n".join(left))
    assert len(mailbox.taken) == 1
    taken = answer.json()
    links = [taken["receipt"], taken["progress_url"].rpartition("/")[2]]
    for secret in (TEXT, PHONE, EMAIL, *links):
        assert not any(secret.encode() in each for each in collector.bodies), secret

    for service, histogram in (
        ("intake", "lastmetre_http_request_duration_seconds"),
        ("dispatch", "lastmetre_report_to_case_seconds"),
        ("notify", "lastmetre_report_to_message_seconds"),
    ):
        assert trace_id in await examples(city, service, histogram)

    case_id = await city.case_of(taken["receipt"])
    assert (await city.act(case_id, "resolve")).status_code == 200
    assert (await city.act(case_id, "accept")).status_code == 409

    async def exported() -> bool:
        lines = traced.log("dispatch").read_text("utf-8").splitlines()
        told = [json.loads(each) for each in lines if str(case_id) in each]
        spans = {(each.trace_id, each.span_id): each.title for each in collector.spans()}
        titles = [spans.get((each["trace_id"], each["span_id"]), "") for each in told]
        return len(told) == 1 and titles[0].endswith("/actions")

    await city.until(exported, "span that the log names")


async def examples(city: City, service: str, histogram: str) -> set[str]:
    """The traces that a histogram names."""
    answer = await city.http.get(city.url(service, "/metrics"), headers=OPENMETRICS)
    return {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(answer.text)  # type: ignore[no-untyped-call]
        if family.name == histogram
        for sample in family.samples
        if sample.exemplar
    }


async def test_records_of_a_batch_stay_in_their_traces(
    intake_city: IntakeAlone, collector: Collector
) -> None:
    """Two of partners that trace, one of one that does not, one with nonsense: read together."""
    traces = [uuid.uuid4().hex for _ in range(2)]
    said: list[bytes | None] = [f"00-{each}-{CALLER}-01".encode() for each in traces]
    async with intake_city.running() as city:
        for number, context in enumerate([*said, None, b"\xff nonsense"]):
            header = [("traceparent", context)] if context else []
            body = json.dumps({"source_id": str(number), "text": TEXT}).encode()
            await city.produce("channels.app", b"same", body, [*submitted("app"), *header])
        await city.start(OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, **EVERY)
        assert await city.until_read() == {"accepted": 4}

        def parts() -> list[Seen]:
            return [each for each in collector.spans() if each.name == "process intake.channels"]

        async def complete() -> bool:
            return len(parts()) == 5

        await eventually(complete)
        found = parts()
    [batch] = [each for each in found if {CALLER} == each.links]
    others = [each for each in found if each is not batch]
    assert batch.parent_id == ""
    assert len({each.trace_id for each in found}) == 5
    assert {each.trace_id for each in others if each.parent_id == CALLER} == set(traces)
    assert [each.parent_id for each in others].count("") == 2
    assert {each.links for each in others} == {frozenset([batch.span_id])}
    statements = {each.name for each in collector.trace(batch.trace_id)}
    assert statements >= STATEMENTS["intake: process intake.channels"]


async def test_a_collector_that_does_not_answer_holds_up_nothing(
    intake_city: IntakeAlone, collector: Collector
) -> None:
    collector.answers.clear()
    async with intake_city.running() as city:
        process = await city.start(
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, OTEL_BSP_MAX_QUEUE_SIZE="16",
            OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8", **EVERY,
        )  # fmt: skip
        async with process.client() as client:
            reports = [{"source_id": str(number), "text": TEXT} for number in range(500)]
            for start in range(0, 500, 50):
                answer = await client.post(
                    "/channels/app/reports",
                    json=reports[start : start + 50],
                    headers=city.credentials.channel("app"),
                )
                assert answer.json()["taken"] == 50
        assert await city.until_read() == {"accepted": 500}
        await city.until("SELECT count(*) FROM outbox", 0)
        assert len(await city.records(REPORTS)) == 500
        assert collector.asked.is_set()
        assert collector.bodies == []
        assert await process.end() == 0


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    """FastAPI imports OpenTelemetry's interface, but nothing that makes or sends spans."""
    code = "import sys, lastmetre.notify.bootstrap; print(*sys.modules, sep='\\n')"
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    costly = ("opentelemetry.sdk", "opentelemetry.exporter", "requests", "google.protobuf")
    assert "lastmetre.common.telemetry.traces" in said
    assert [each for each in said if each.startswith(costly)] == []
