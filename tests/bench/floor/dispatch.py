"""Reports become cases, actions move them, the ledger keeps what was told."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.bench.floor.runtime import (
    PREFIX,
    TRACE,
    Connection,
    Out,
    Rows,
    Service,
    copy,
    event,
    uuid7,
)

SYSTEM = {"role": "system", "id": None}
LEAD = {
    "lead_id": "L01",
    "name": {"zh": "李敏", "en": "Li Min"},
    "post": {"zh": "片长", "en": "Area lead"},
}


def case_event(case_id: str, seq: int, kind: str, now: str, **more: Any) -> Out:
    actor = more.pop("actor", SYSTEM)
    body = {
        "case_id": case_id, "seq": seq, "occurred_at": now, "recorded_at": now, "actor": actor,
    } | more  # fmt: skip
    return event("case.events", case_id, f"lastmetre.case.{kind}.v1", body, f"{case_id}:{seq}", now)


async def dispatch_requests(service: Service, connection: Connection, records: Rows) -> list[Out]:
    now = datetime.now(UTC)
    out: list[Out] = []
    ledger: list[tuple[object, ...]] = []
    reports = [r for r in records if r.topic == PREFIX + "reports"]
    actions = [r for r in records if r.topic == PREFIX + "field.actions"]
    if reports:
        last = await reserve(service, now, len(reports))
        await register(
            connection, [json.loads(r.value or b"") for r in reports], last, now, out, ledger
        )
    if actions:
        await act(connection, [json.loads(r.value or b"") for r in actions], now, out, ledger)
    await copy(connection, "ledger", ledger)
    return out


async def reserve(service: Service, now: datetime, count: int) -> int:
    """Numbers in a transaction of their own: processes do not wait for each other's batches."""
    async with service.pool.acquire() as connection:
        last: int = await connection.fetchval(
            "INSERT INTO day_number AS d VALUES ($1, $2) ON CONFLICT (day)"
            " DO UPDATE SET last = d.last + $2 RETURNING last",
            now.date(),
            count,
        )
    return last


async def register(
    connection: Connection,
    reports: list[dict[str, Any]],
    last: int,
    now: datetime,
    out: list[Out],
    ledger: list[tuple[object, ...]],
) -> None:
    ids = [UUID(report["report_id"]) for report in reports]
    await connection.fetch('SELECT report_id FROM "case" WHERE report_id = ANY($1::uuid[])', ids)
    instant, rows = now.isoformat(), []
    for count, report in enumerate(reports):
        case_id = uuid7(int(now.timestamp() * 1000))
        key, number, place = str(case_id), f"{now:%y%m%d}-{last - count:04d}", report["position"]
        out.append(
            case_event(
                key, 1, "registered", instant, number=number, report_id=report["report_id"],
                channel="hotline", sub_channel=None, origin="live", category=report["category"],
                source_category=report["category"], reported_at=report["reported_at"],
                position=place, reporter_reachable=True, language="zh",
            )
        )  # fmt: skip
        out.append(
            case_event(
                key, 2, "dispatched", instant, area_id="A01", lead=LEAD, matched_by="position",
                network_version=1,
            )
        )  # fmt: skip
        for seq, kind, sent in ((1, "registered", out[-2]), (2, "dispatched", out[-1])):
            name = f"lastmetre.case.{kind}.v1"
            ledger.append((case_id, seq, name, now, now, "system", None, sent[3], TRACE))
        rows.append(
            (
                case_id, 2, "dispatched", True, number, ids[count], "hotline", "live",
                report["category"], "zh", now, place["latitude"], place["longitude"], now, "A01",
                "L01", None, (), (),
            )
        )  # fmt: skip
    await copy(connection, "case", rows)


async def act(
    connection: Connection,
    actions: list[dict[str, Any]],
    now: datetime,
    out: list[Out],
    ledger: list[tuple[object, ...]],
) -> None:
    ids = [UUID(action["action_id"]) for action in actions]
    await connection.fetch("SELECT request_id FROM answer WHERE request_id = ANY($1::uuid[])", ids)
    locked = await connection.fetch(
        'SELECT * FROM "case" WHERE case_id = ANY($1::uuid[]) ORDER BY case_id FOR UPDATE',
        sorted({UUID(action["case_id"]) for action in actions}),
    )
    seqs = {row["case_id"]: row["seq"] for row in locked}
    states: dict[UUID, str] = {}
    instant, answers = now.isoformat(), []
    for action_id, action in zip(ids, actions, strict=True):
        case_id, key, actor = UUID(action["case_id"]), action["case_id"], action["actor"]
        kinds = ["accepted"] if action["action"] == "accept" else ["resolved", "verified", "closed"]
        for kind in kinds:
            seqs[case_id] += 1
            who = SYSTEM if kind in ("verified", "closed") else actor
            out.append(case_event(key, seqs[case_id], kind, instant, actor=who))
            name = f"lastmetre.case.{kind}.v1"
            ledger.append(
                (case_id, seqs[case_id], name, now, now, *who.values(), out[-1][3], TRACE)
            )
        states[case_id] = kinds[-1]
        digest = action_id.bytes
        answers.append(
            (action_id, case_id, action["action"], None, seqs[case_id], now, digest, digest)
        )
        done = {
            "case_id": key, "action_id": action["action_id"], "action": action["action"],
            "done": True, "refusal": None, "seq": seqs[case_id], "answered_at": instant,
        }  # fmt: skip
        kind = "lastmetre.action.answered.v1"
        out.append(event("field.outcomes", key, kind, done, action["action_id"], instant))
    order = list(states)
    await connection.execute(
        """
        UPDATE "case" c SET seq = n.seq, state = n.state, is_open = n.open, changed_at = $5,
            area_id = 'A01', lead_id = 'L01', unplaced_reason = NULL, closings = '{}', rated = '{}'
        FROM unnest($1::uuid[], $2::int[], $3::text[], $4::boolean[]) AS n(id, seq, state, open)
        WHERE c.case_id = n.id
        """,
        order,
        [seqs[each] for each in order],
        [states[each] for each in order],
        [states[each] != "closed" for each in order],
        now,
    )
    await copy(connection, "answer", answers)
