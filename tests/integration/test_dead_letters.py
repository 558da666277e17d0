"""A dead letter's way back: seen, corrected, tried without effect, replayed as what it was."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg

from lastmetre.common.contracts.cases import CaseAccepted
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.contracts.requests import ActionRequested
from lastmetre.common.contracts.topics import CASE_EVENTS, FIELD_ACTIONS
from lastmetre.common.security.callers import Role
from lastmetre.common.security.signed_links import LinkPurpose
from lastmetre.devstack import Stack
from tests.support.city import TRACE, City, MetricsAlone, inside
from tests.support.city.scenarios import World
from tests.support.commands import attempt, lastmetre

PHONE = "13900139000"


def headers(kind: str, source: str) -> list[tuple[str, bytes | None]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid.uuid4()).encode()),
        ("ce_type", kind.encode()),
        ("ce_source", source.encode()),
        ("traceparent", TRACE.encode()),
    ]


def action(case_id: uuid.UUID, **more: Any) -> dict[str, Any]:
    return {
        "case_id": str(case_id),
        "action_id": str(uuid.uuid4()),
        "action": "accept",
        "actor": {"role": "lead", "id": "L0"},
        "occurred_at": "yesterday",
        **more,
    }


async def ask(stack: Stack, city: City, body: dict[str, Any]) -> int:
    """Have a partner ask for something that cannot be read; returns the dead letter's id."""
    kind = headers(ActionRequested.TYPE, "/partners/terminal")
    place = await city.produce(
        FIELD_ACTIONS, body["case_id"].encode(), json.dumps(body).encode(), kind
    )
    return await dead_letter(stack, city, "dispatch", FIELD_ACTIONS, place)


async def dead_letter(
    stack: Stack, city: City, service: str, topic: str, place: tuple[int, int]
) -> int:
    database = await city.database(service)

    async def look() -> int | None:
        found: int | None = await database.fetchval(
            'SELECT id FROM dead_letter WHERE topic = $1 AND partition = $2 AND "offset" = $3',
            topic,
            *place,
        )
        return found

    return await city.until(look, "dead letter")


async def replay(stack: Stack, *words: str | Path, code: int = 0) -> dict[str, Any]:
    return await lastmetre(stack, "dlq", "replay", *words, code=code)


async def test_an_action_is_corrected_and_replayed(
    stack: Stack, city: City, tmp_path: Path
) -> None:
    await city.import_network()
    case_id = await city.new_case(f"dead-{uuid.uuid4()}")
    body = action(case_id)
    letter = await ask(stack, city, body)

    listed = await lastmetre(stack, "dlq", "list", "--service", "dispatch")
    [found] = [each for each in listed["dead_letters"] if each["id"] == letter]
    assert (found["key"], found["flow"]) == (str(case_id), "requests")
    assert "occurred_at" in found["error"]
    assert "yesterday" not in found["error"]
    shown = await lastmetre(stack, "dlq", "show", "dispatch", str(letter))
    assert json.loads(shown["body"]) == body
    assert shown["headers"]["traceparent"] == TRACE

    good, foreign = tmp_path / "good.json", tmp_path / "foreign.json"
    corrected = body | {"occurred_at": datetime.now(UTC).isoformat()}
    good.write_text(json.dumps(corrected))
    foreign.write_text(json.dumps(corrected | {"case_id": str(uuid.uuid4())}))
    as_it_came = await replay(stack, "dispatch", str(letter), code=1)
    another = await replay(stack, "dispatch", str(letter), "--body", foreign, code=1)
    assert [each["id"] for each in as_it_came["still_bad"]] == [letter]
    assert "case_id" in another["still_bad"][0]["reason"]

    tried = await replay(stack, "dispatch", str(letter), "--body", good, "--dry-run")
    assert (tried["tried"], tried["replayed"], tried["dry_run"]) == (1, 1, True)
    assert await city.state(case_id) == (2, "dispatched")
    done = await replay(stack, "dispatch", str(letter), "--body", good)
    assert (done["replayed"], done["replayed_before"]) == (1, [])
    assert await city.state(case_id) == (3, "accepted")
    dispatch = await city.database("dispatch")
    answered = "SELECT case_id FROM answer WHERE request_id = $1"
    assert await dispatch.fetchval(answered, uuid.UUID(body["action_id"])) == case_id
    again = await replay(stack, "dispatch", str(letter), "--body", good)
    assert (again["replayed"], again["replayed_before"]) == (0, [letter])
    assert await city.ledger(case_id) == ["registered", "dispatched", "accepted"]


async def test_all_are_tried_first_and_only_good_ones_replayed(stack: Stack, city: City) -> None:
    await city.import_network()
    case_id = await city.new_case(f"dead-{uuid.uuid4()}")
    bad, mended = action(case_id), action(case_id)
    letters = [await ask(stack, city, each) for each in (bad, mended)]
    # What a new build makes of it: it can read now what it could not.
    readable = json.dumps(mended | {"occurred_at": datetime.now(UTC).isoformat()}).encode()
    dispatch = await city.database("dispatch")
    await dispatch.execute("UPDATE dead_letter SET value = $2 WHERE id = $1", letters[1], readable)

    tried = await replay(stack, "dispatch", "--all", "--dry-run", code=1)
    done = await replay(stack, "dispatch", "--all", "--yes", code=1)
    for outcome in (tried, done):
        still_bad = {each["id"] for each in outcome["still_bad"]}
        assert letters[0] in still_bad
        assert letters[1] not in still_bad
        assert outcome["replayed"] == outcome["tried"] - len(still_bad)
    assert await city.ledger(case_id) == ["registered", "dispatched", "accepted"]


async def test_a_corrected_report_keeps_its_receipt_and_the_books_balance(
    stack: Stack, city: City, tmp_path: Path
) -> None:
    source_id = f"dead-{uuid.uuid4()}"
    body = {"source_id": source_id, "text": ["路灯不亮"], "position": inside(0),
            "contact": {"phone": PHONE}}  # fmt: skip
    kind = headers(ReportSubmitted.TYPE, "/channels/app/partner")
    place = await city.produce("channels.app", source_id.encode(), json.dumps(body).encode(), kind)
    letter = await dead_letter(stack, city, "intake", "channels.app", place)
    good = tmp_path / "good.json"
    good.write_text(json.dumps(body | {"text": "路灯不亮"}))
    await replay(stack, "intake", str(letter), "--body", good)

    identity = city.links.receipt_identity("partner", "app", source_id)
    await city.case_of(city.links.seal(LinkPurpose.RECEIPT, identity))
    intake = await city.database("intake")
    kept = await intake.fetchval(
        "SELECT value || corrected_value FROM dead_letter WHERE id = $1", letter
    )
    assert kept
    assert PHONE.encode() not in kept
    balance = await lastmetre(stack, "audit")
    assert balance["balanced"]


async def test_what_waits_behind_a_dead_event_follows_in_order(metrics_city: MetricsAlone) -> None:
    """Dead seq 3, then 4 and 5: parked, and applied as soon as 3 is corrected; and the correction
    is what a rebuild and a comparison count, not what the topic holds."""
    world = World(seed=11, size=40)
    scenario = next(each for each in world.scenarios if len(each.events) >= 5)
    events = scenario.events
    await metrics_city.start()
    key = str(scenario.case_id)
    await metrics_city.tell(*events[:2])
    cut_short = events[2].to_json()[:-7]
    await metrics_city.produce(
        CASE_EVENTS, key.encode(), cut_short, [("ce_type", type(events[2]).TYPE.encode())]
    )
    await metrics_city.tell(*events[3:])
    await metrics_city.until("SELECT count(*) FROM parked", len(events) - 3)
    code, document = await metrics_city.rebuild("--verify")
    assert (code, document["unreadable_events"]) == (0, 1)
    assert document["events_behind_a_hole"] == len(events) - 3

    connection = await asyncpg.connect(metrics_city.database_url)
    letter = await connection.fetchval("SELECT id FROM dead_letter")
    async with metrics_city.client(Role.ADMINISTRATOR) as client:
        # Closed, it would keep the later ones waiting for ever.
        closing = f"/api/metrics/v1/dead-letters/{letter}/close"
        refused = await client.post(closing, json={"reason": "away with it"})
        assert (refused.status_code, refused.json()["type"]) == (409, "/problems/others-wait")
        path = f"/api/metrics/v1/dead-letters/{letter}/replay"
        corrected = {"body": events[2].to_json().decode()}
        foreign = {"body": CaseAccepted(**dict(events[2]) | {"case_id": uuid.UUID(int=1)})
                   .to_json().decode()}  # fmt: skip
        assert (await client.post(path, json=foreign)).status_code == 422
        tried = await client.post(path, json=corrected | {"dry_run": True})
        assert (tried.status_code, tried.json()["replayed"]) == (200, False)
        assert await connection.fetchval("SELECT seq FROM fact") == 2
        at_once = [client.post(path, json=corrected) for _ in range(3)]
        answers = sorted(each.status_code for each in await asyncio.gather(*at_once))
    assert answers == [200, 409, 409]
    assert await connection.fetchval("SELECT seq FROM fact") == len(events)
    assert await connection.fetchval("SELECT count(*) FROM parked") == 0

    code, document = await metrics_city.rebuild("--verify")
    assert (code, document["differing_cases"], document["unreadable_events"]) == (0, [], 0)
    code, _ = await metrics_city.rebuild()
    assert (code, await connection.fetchval("SELECT seq FROM fact")) == (0, len(events))
    await connection.close()


async def test_one_that_is_to_have_no_effect_is_closed(
    stack: Stack, city: City, tmp_path: Path
) -> None:
    """It waits for nobody any more, stays dead in the books, and can be replayed yet."""
    await city.import_network()
    case_id = await city.new_case(f"dead-{uuid.uuid4()}")
    body = action(case_id)
    letter = await ask(stack, city, body)

    async def close(*words: str, code: int = 0) -> str:
        ended, _, told = await attempt(stack, "dlq", "close", "dispatch", str(letter), *words)
        assert ended == code, told
        return told

    async def waiting() -> bool:
        listed = await lastmetre(stack, "dlq", "list", "--service", "dispatch")
        return letter in {each["id"] for each in listed["dead_letters"]}

    assert "could be closed" in await close("--reason", "sent again", "--dry-run")
    assert await waiting()
    assert "1 to 500 characters" in await close("--reason", " ", code=2)
    await close("--reason", "the partner sent it again")
    assert not await waiting()
    assert "closed already" in await close("--reason", "once more", code=1)
    shown = await lastmetre(stack, "dlq", "show", "dispatch", str(letter))
    assert (shown["closed_reason"], shown["replayed_at"]) == ("the partner sent it again", None)
    assert shown["closed_by"].startswith("administrator:")
    balance = await lastmetre(stack, "audit")
    assert balance["balanced"]

    good = tmp_path / "good.json"
    good.write_text(json.dumps(body | {"occurred_at": datetime.now(UTC).isoformat()}))
    await replay(stack, "dispatch", str(letter), "--body", good)
    assert await city.state(case_id) == (3, "accepted")
    assert "replayed already" in await close("--reason", "too late", code=1)
