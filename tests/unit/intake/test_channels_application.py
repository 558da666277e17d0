"""The channels' application: who may report, and the answers to what cannot be taken."""

import json
import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from unittest.mock import Mock

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from lastmetre.common.contact import ContactCheck
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.model import JsonMapping
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.security.signed_links import SignedLinks
from lastmetre.common.service.ids import IdGenerator
from lastmetre.intake.adapters.edge_producer import EdgeProducer, Report
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.bytes_in_flight import SHARE, BytesInFlight
from lastmetre.intake.domain.submission import NotAcknowledged
from lastmetre.intake.entrypoints.edge.application import ChannelsApplication
from lastmetre.intake.settings import IntakeSettings
from tests.support.authenticators import authenticator as authenticator_of

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
PHONE = "13900001234"
PATH = "/channels/hotline/reports"
KEY = {"X-API-Key": "hotline-key"}
LARGEST = 300
ORDERS = {
    "reads": "json", "version": 2, "source_id": "order.no", "text": "order.what",
    "times": {"zone": "Asia/Shanghai", "format": "%Y-%m-%d %H:%M"}, "reported_at": "order.at",
    "position": {"pair": "order.at_point", "order": "longitude latitude", "datum": "gcj02"},
    "contact": {"phone": "order.caller.phones[]"},
}  # fmt: skip
IN_FLIGHT = 64 * LARGEST


class Producer:
    """Stands in for Kafka; sources that begin with `not` are never acknowledged."""

    def __init__(self) -> None:
        self.sent: list[Report] = []

    async def send(self, _: str, reports: Sequence[Report], sender: str) -> None:
        assert sender == "12345"
        if any(report.key.startswith(b"not") for report in reports):
            raise NotAcknowledged("no acknowledgement in time")
        if any(report.key.startswith(b"break") for report in reports):
            raise RuntimeError(f"cannot send {PHONE}")
        self.sent += reports


@pytest.fixture
def producer() -> Producer:
    return Producer()


@pytest.fixture
def in_flight() -> BytesInFlight:
    return BytesInFlight(IN_FLIGHT, "web-form")


@pytest.fixture
def client(producer: Producer, in_flight: BytesInFlight) -> TestClient:
    clock = Mock(now=lambda: NOW)
    submit = SubmitReports(
        cast("EdgeProducer", producer),
        links=SignedLinks(b"l" * 32),
        identities=IdGenerator(),
        clock=clock,
        public_url="https://city.example/",
    )
    settings = IntakeSettings.model_construct(
        single_bytes=LARGEST, array_bytes=10 * LARGEST, array_items=3, channel_keys_file=Path()
    )
    authenticator = authenticator_of(
        b"0" * 32,
        service_keys={},
        channel_keys={
            key_digest("hotline-key"): ChannelCaller("hotline", "12345"),
            key_digest("app-key"): ChannelCaller("app", "mini"),
            key_digest("archive-key"): ChannelCaller("hotline", "12345", history=True),
            key_digest("mapped-key"): ChannelCaller("hotline", "12345", mapping="orders"),
        },
        clock=clock,
    )
    readers = {"orders": Reader(JsonMapping.model_validate(ORDERS), "orders/2/0123456789ab")}
    edge = ChannelsApplication(
        submit, in_flight, settings, ContactCheck("CN"), authenticator, readers
    )
    return TestClient(edge.before(PlainTextResponse("behind it")))


def report(source_id: str = "1", **fields: Any) -> dict[str, Any]:
    return {"source_id": source_id, "text": "路灯不亮", **fields}


def test_a_report_is_taken_and_told_what_is_not_used(
    client: TestClient, producer: Producer
) -> None:
    answer = client.post(PATH, json=report(contact={"phone": "无"}), headers=KEY)
    assert answer.status_code == 202
    document = answer.json()
    assert answer.headers["location"] == f"/cases/{document['receipt']}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert document["progress_url"].startswith("https://city.example/progress/")
    assert [each["pointer"] for each in document["remarks"]] == ["/contact/phone"]
    (record,) = producer.sent
    assert record.key == b"1"
    assert ("ce_source", b"/channels/hotline/12345") in record.headers
    assert client.post(PATH, json=report(), headers=KEY).json() == {
        name: document[name] for name in ("receipt", "progress_url")
    }


def test_an_array_has_an_answer_an_item(client: TestClient, producer: Producer) -> None:
    answer = client.post(PATH, json=[report("1"), {"source_id": 7}, report("2")], headers=KEY)
    document = answer.json()
    assert (answer.status_code, document["taken"], document["refused"]) == (202, 2, 1)
    assert [item["status"] for item in document["items"]] == [202, 422, 202]
    assert document["items"][1]["errors"][0]["pointer"] == "/source_id"
    assert [record.key for record in producer.sent] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status", "kind"),
    [
        ("POST", PATH, {}, report(), 401, "/problems/not-signed-in"),
        ("POST", PATH, {"X-API-Key": "other"}, report(), 401, "/problems/not-signed-in"),
        ("POST", PATH, {"X-API-Key": "app-key"}, report(), 403, "/problems/not-allowed"),
        ("GET", PATH, KEY, None, 405, "about:blank"),
        ("POST", PATH, KEY, 7, 422, "/problems/invalid"),
        ("POST", PATH, KEY, report(text=7), 422, "/problems/invalid"),
        ("POST", PATH, KEY, report(text="x" * LARGEST), 413, "/problems/too-large"),
        ("POST", PATH, KEY, [report()] * 4, 413, "/problems/too-large"),
        ("POST", PATH, KEY, ["x" * 10 * LARGEST], 413, "/problems/too-large"),
        ("POST", PATH, KEY, report("not"), 503, "/problems/not-taken"),
        ("POST", PATH, KEY | {"Content-Encoding": "gzip"}, report(), 415, "/problems/encoded"),
    ],
)
def test_refusals(
    client: TestClient,
    producer: Producer,
    in_flight: BytesInFlight,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Any,
    status: int,
    kind: str,
) -> None:
    answer = client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (status, kind)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert producer.sent == []
    assert in_flight.reserve("12345", IN_FLIGHT // SHARE), "nothing of it is held"


def test_what_nobody_foresaw_is_logged_without_its_message(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.post(PATH, json=report("break"), headers=KEY)
    assert answer.status_code == 500
    assert answer.json()["reference"] in caplog.text
    assert PHONE not in caplog.text + answer.text


@pytest.mark.parametrize("path", ["/channels/fax/reports", PATH + "/", "/report", "/"])
def test_the_rest_is_for_the_application_behind_it(client: TestClient, path: str) -> None:
    assert client.post(path, json=report(), headers=KEY).text == "behind it"


def test_history_needs_a_key_that_may_send_it(client: TestClient, producer: Producer) -> None:
    old = report("old", origin="import", reported_at="2001-02-03T04:05:06+08:00")
    refused = client.post(PATH, json=old, headers=KEY)
    assert refused.status_code == 422
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/origin"]
    mixed = client.post(PATH, json=[old, report("now")], headers=KEY)
    assert [each["status"] for each in mixed.json()["items"]] == [422, 202]
    assert [record.key for record in producer.sent] == [b"now"]
    taken = client.post(PATH, json=old, headers={"X-API-Key": "archive-key"})
    assert taken.status_code == 202


MAPPED = {"X-API-Key": "mapped-key"}


def order(number: Any = "GD1", **fields: Any) -> dict[str, Any]:
    return {"push": 1, "order": {"no": number, "what": "路灯不亮", **fields}}


def test_a_key_with_a_mapping_takes_its_senders_own_form(
    client: TestClient, producer: Producer
) -> None:
    sent = order(at="2026-11-30 15:00", at_point="113.75,23.02", caller={"phones": [PHONE]})
    assert client.post(PATH, json=sent, headers=MAPPED).status_code == 202
    (record,) = producer.sent
    body = json.loads(record.value)
    assert json.loads(body.pop("sent")) == sent
    assert body == {
        "source_id": "GD1",
        "reported_at": "2026-11-30T07:00:00Z",
        "text": "路灯不亮",
        "position": {"latitude": 23.02, "longitude": 113.75, "datum": "gcj02"},
        "contact": {"phone": PHONE},
        "read_by": "orders/2/0123456789ab",
    }
    assert dict(record.headers)["ce_source"] == b"/channels/hotline/12345"


def test_its_mistakes_are_told_where_they_stand_in_what_was_sent(client: TestClient) -> None:
    items = [order(None, at="昨天"), order("GD2"), report()]
    answers = client.post(PATH, json=items, headers=MAPPED).json()
    assert [each["status"] for each in answers["items"]] == [422, 202, 422]
    assert answers["items"][0]["errors"] == [
        {"pointer": "/order/no", "message": "order.no is empty"},
        {
            "pointer": "/order/at",
            "message": "order.at: … is not a time as %Y-%m-%d %H:%M",
        },
    ]
    whole = client.post(PATH, json=7, headers=MAPPED)
    assert whole.json()["errors"] == [{"pointer": "", "message": "A report is a JSON object"}]


def test_it_is_told_what_was_left_out(client: TestClient) -> None:
    sent = order(at="2020-01-01 00:00", at_point="北", caller={"phones": ["无"]})
    answer = client.post(PATH, json=sent, headers=MAPPED)
    assert answer.status_code == 202
    assert [each["pointer"] for each in answer.json()["remarks"]] == [
        "/order/at_point", "/order/at", "",
    ]  # fmt: skip
