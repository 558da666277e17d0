"""Intake on a real broker and database: every record of the channels is accounted for."""

import json
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from lastmetre.common.contracts.topics import REPORTS
from lastmetre.common.security.callers import Role
from tests.support.city import (
    TRACE,
    Headers,
    IntakeAlone,
    eventually,
    submitted,
)

pytestmark = pytest.mark.slow

APP = "channels.app"
NOBODY_THERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
async def city(intake_city: IntakeAlone) -> AsyncIterator[IntakeAlone]:
    async with intake_city.running() as opened:
        yield opened


def report(source_id: str, **fields: object) -> dict[str, object]:
    return {"source_id": source_id, "text": "路灯不亮"} | fields


async def test_the_way_of_reports(city: IntakeAlone) -> None:
    """Single, repeated, in conflict, rejected; the trace goes on; nothing personal leaves."""
    running = await city.start()
    private = report("1", contact={"name": "王小明", "phone": "13800138000"}, category="06010")
    async with running.client() as client:
        path, key = "/channels/app/reports", city.credentials.channel("app")
        first = await client.post(path, json=private, headers=key | {"traceparent": TRACE})
        again = await client.post(path, json=private, headers=key)
        other = await client.post(path, json=report("1", text="另一句"), headers=key)
        assert [each.status_code for each in (first, again, other)] == [202] * 3
        assert first.json() == again.json() == other.json()
        ahead = report("2", reported_at="2199-12-31T00:00:00Z")
        rejected = await client.post(path, json=ahead, headers=key)
        receipt = first.json()["receipt"]
        assert first.headers["location"] == f"/cases/{receipt}"
        assert await city.until_read() == Counter(accepted=1, repeated=1, conflict=1, rejected=1)

        shown = (await client.get(f"/cases/{receipt}")).json()
        assert (shown["state"], shown["channel"]) == ("received", "app")
        shown = (await client.get(f"/cases/{rejected.json()['receipt']}")).json()
        assert (shown["state"], shown["reasons"]) == ("rejected", ["reported_in_the_future"])

        own = (await client.get(f"{path}/1", headers=key)).json()
        assert own == (await client.get(f"/cases/{receipt}")).json() | {
            "progress_url": first.json()["progress_url"],
            "conflicts": 1,
        }
        own = (await client.get(f"{path}/2", headers=key)).json()
        assert (own["state"], own["reasons"], own["conflicts"]) == (
            "rejected",
            ["reported_in_the_future"],
            0,
        )
        # Not sent; another channel's key; another sender's, who has sent nothing under that id.
        hotline = city.credentials.channel("hotline")
        for asked, by, status in (
            (f"{path}/3", key, 404),
            (f"{path}/a/b%2Fc", key, 404),
            (f"{path}/1", hotline, 403),
            ("/channels/hotline/reports/1", hotline, 404),
            (f"{path}/1", {}, 401),
        ):
            assert (await client.get(asked, headers=by)).status_code == status
        mistyped = receipt[:-1] + ("a" if receipt[-1] != "a" else "b")
        assert (await client.get(f"/cases/{mistyped}")).status_code == 404

    async def relayed() -> bool:
        return len(await city.records(REPORTS)) == 2

    await eventually(relayed)
    sent = {each.headers["ce_type"]: each for each in await city.records(REPORTS)}
    accepted = sent["lastmetre.report.accepted.v1"]
    assert accepted.headers["traceparent"] == TRACE
    body = accepted.body
    assert body["category"] == body["source_category"] == "06010"
    assert body["reporter_reachable"] is True
    rows = await city.fetch("SELECT * FROM report, vault, later_record")
    for hidden in ("王小明", "13800138000", "路灯不亮", "另一句"):
        assert hidden not in json.dumps([each.body for each in sent.values()], ensure_ascii=False)
        assert not any(hidden.encode() in str(tuple(row)).encode() for row in rows)


async def test_one_bad_among_five_hundred(city: IntakeAlone) -> None:
    running = await city.start()
    items: list[object] = [report(str(number)) for number in range(500)]
    items[250] = {"source_id": "250", "text": 7}
    async with running.client() as client:
        answer = await client.post(
            "/channels/patrol/reports", json=items, headers=city.credentials.channel("patrol")
        )
        assert answer.status_code == 202
        answers = answer.json()
        assert (answers["taken"], answers["refused"]) == (499, 1)
        assert answers["items"][250] == {
            "status": 422,
            "errors": [{"pointer": "/text", "message": "Input should be a valid string"}],
        }
        assert await city.until_read() == Counter(accepted=499)
        found = await client.post(
            "/api/intake/v1/lookup",
            headers=city.credentials.bearer(Role.ADMINISTRATOR),
            json={
                "sender": "patrol-desk",
                "channel": "patrol",
                "source_ids": ["0", "250", "499"],
            },
        )
        entries = found.json()["reports"]
        assert [each["outcome"] for each in entries] == ["accepted", "unseen", "accepted"]
        assert entries[2]["receipt"] == answers["items"][499]["receipt"]


def typed(name: bytes | None) -> Headers:
    return [("ce_type", name), *submitted("app")[2:]]


GOOD = json.dumps({"source_id": "good", "text": "x"}).encode()
BAD_RECORDS: dict[str, tuple[bytes | None, Headers]] = {
    "no body": (None, submitted("app")),
    "empty body": (b"", submitted("app")),
    "not JSON": (b"{", submitted("app")),
    "a number": (b"123", submitted("app")),
    "lone surrogate": (b'{"source_id":"x","text":"\\ud800"}', submitted("app")),
    "NUL": (b'{"source_id":"x\\u0000"}', submitted("app")),
    "not UTF-8": (b'{"source_id":"\xff"}', submitted("app")),
    "deep": (b'{"source_id":"x","text":' + b"[" * 5000, submitted("app")),
    "no headers": (GOOD, []),
    "no type": (GOOD, submitted("app")[2:]),
    "future version": (GOOD, typed(b"lastmetre.report.submitted.v2")),
    "type of another topic": (GOOD, typed(b"lastmetre.case.closed.v1")),
    "null type": (GOOD, typed(None)),
    "type not UTF-8": (GOOD, typed(b"\xff\xfe")),
    "no source": (GOOD, submitted("app")[:2]),
    "null source": (GOOD, [*submitted("app")[:2], ("ce_source", None)]),
    "source not UTF-8": (GOOD, [*submitted("app")[:2], ("ce_source", b"/channels/app/\xff")]),
    "another channel's source": (GOOD, submitted("hotline")),
    "no channel's source": (GOOD, submitted("fax")),
    "far future": (
        b'{"source_id":"x","reported_at":"9999-12-31T23:59:59-14:00"}',
        submitted("app"),
    ),
}


async def test_a_partners_mistakes_disturb_nobody(city: IntakeAlone) -> None:
    """Each bad record becomes a dead letter with its reason, the good ones between go through."""
    await city.start()
    for number, (value, headers) in enumerate(BAD_RECORDS.values()):
        await city.produce(APP, b"k", value, headers, 0)
        good = json.dumps(report(str(number))).encode()
        await city.produce(APP, b"k", good, submitted("app"), 0)
    named = ("name", b"v")
    await city.put_raw_batch(
        "channels.app",
        [
            (json.dumps(report("before")).encode(), submitted("app")),
            (json.dumps(report("unreadable")).encode(), [*submitted("app"), ("REPLACED", b"v")]),
            (json.dumps(report("after")).encode(), [*submitted("app"), named]),
        ],
        (b"REPLACED", b"\xff\xfe\x00\xc3abcd"),
    )
    count = len(BAD_RECORDS)
    assert await city.until_read() == Counter(accepted=count + 2, dead=count + 1)
    letters = await city.fetch("SELECT error, value FROM dead_letter ORDER BY id")
    assert all(letter["error"] for letter in letters)
    assert letters[-1]["error"] == "the name of a header is not UTF-8"
    assert all(GOOD not in (letter["value"] or b"") for letter in letters)


async def test_a_dead_letter_corrected_and_replayed(city: IntakeAlone) -> None:
    running = await city.start()
    await city.produce(APP, b"k", b'{"source_id":"1","text":7}', submitted("app"))
    assert await city.until_read() == Counter(dead=1)
    async with running.client() as client:
        letters = (
            await client.get(
                "/api/intake/v1/dead-letters", headers=city.credentials.bearer(Role.ADMINISTRATOR)
            )
        ).json()
        path = f"/api/intake/v1/dead-letters/{letters[0]['id']}/replay"
        still = await client.post(
            path, headers=city.credentials.bearer(Role.ADMINISTRATOR), json={}
        )
        assert still.status_code == 422
        done = await client.post(
            path,
            headers=city.credentials.bearer(Role.ADMINISTRATOR),
            json={"body": '{"source_id":"1","text":"7"}'},
        )
        assert done.status_code == 200
    assert await city.until_read() == Counter(accepted=1)


async def test_reading_again_changes_nothing(city: IntakeAlone) -> None:
    """Killed, and its positions lost: everything is read twice and counted once."""
    running = await city.start()
    async with running.client() as client:
        items = [report(str(number % 40), text=str(number % 80)) for number in range(120)]
        items.append(report("gone", category=None, text=None))
        await client.post(
            "/channels/app/reports", json=items, headers=city.credentials.channel("app")
        )
    await city.produce(APP, b"k", b"{", submitted("app"))
    before = await city.until_read()
    assert before == Counter(accepted=40, repeated=40, conflict=40, rejected=1, dead=1)
    await running.kill()
    await city.fetch("DELETE FROM position WHERE flow = 'channels'")
    await city.start()
    assert await city.until_read() == before
    assert len(await city.fetch("SELECT FROM vault")) == 41
    # Killed between sending and forgetting, the relay sends again: the same reports, not others.
    assert len({each.body["report_id"] for each in await city.records(REPORTS)}) == 41


async def test_what_was_read_is_trimmed_and_still_in_the_books(city: IntakeAlone) -> None:
    running = await city.start(
        INTAKE_TRIM_AFTER_SECONDS="1",
        INTAKE_BACKUP_INTERVAL_SECONDS="1",
        INTAKE_TRIM_EVERY_SECONDS="0.5",
    )
    async with running.client() as client:
        items = [report(str(number)) for number in range(50)]
        await client.post(
            "/channels/app/reports", json=items, headers=city.credentials.channel("app")
        )
        before = await city.until_read()

        async def trimmed() -> bool:
            return sum((await city.earliest()).values()) == 50

        await eventually(trimmed)
        assert await city.until_read() == before
        rows = await city.fetch("SELECT sum(low_offset) FROM trimmed")
        assert rows[0][0] == 50
        await running.kill()
    running = await city.start()
    async with running.client() as client:
        again = await client.post(
            "/channels/app/reports", json=report("0"), headers=city.credentials.channel("app")
        )
        assert again.status_code == 202
    assert await city.until_read() == before + Counter(repeated=1)


async def test_the_edge_without_a_database_and_without_kafka(city: IntakeAlone) -> None:
    """202 needs Kafka alone; without Kafka it is 503 with Retry-After, soon."""
    blind = await city.launch(INTAKE_DATABASE_URL=NOBODY_THERE)
    async with blind.client() as client:

        async def takes() -> bool:
            try:
                answer = await client.post(
                    "/channels/app/reports",
                    json=report("1"),
                    headers=city.credentials.channel("app"),
                )
            except httpx.TransportError:
                return False
            return answer.status_code == 202

        await eventually(takes)
        assert (await client.get("/progress/x")).status_code == 404
        assert (await client.get("/report")).status_code == 200
        form = {"text": "井盖坏了", "address": "书院巷", "phone": "13800138000"}
        sent = [(await client.post("/report", data=form)).status_code for _ in range(6)]
        assert sent == [303] * 5 + [429], "this process counts by itself"
        lookup = {"sender": "a", "channel": "app", "source_ids": ["1"]}
        answer = await client.post(
            "/api/intake/v1/lookup",
            json=lookup,
            headers=city.credentials.bearer(Role.ADMINISTRATOR),
        )
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    await city.start()
    assert (await city.until_read())["accepted"] == 6

    deaf = await city.launch(
        KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1",
        INTAKE_ACKNOWLEDGE_WITHIN_SECONDS="1",
    )
    async with deaf.client() as client:

        async def refuses() -> bool:
            try:
                answer = await client.post(
                    "/channels/app/reports",
                    json=report("2"),
                    headers=city.credentials.channel("app"),
                )
            except httpx.TransportError:
                return False
            return (answer.status_code, answer.headers["retry-after"]) == (503, "2")

        await eventually(refuses)
