"""Messages are asked for, claimed, sent into nothing and settled."""

import asyncio
from datetime import UTC, datetime
from uuid import UUID

from tests.bench.floor.runtime import (
    TRACE,
    Connection,
    Out,
    Rows,
    Service,
    copy,
    event,
    folded,
    uuid7,
)

MESSAGES = {
    "dispatched": ("reporter", "lead:L01"), "accepted": ("reporter",), "closed": ("reporter",),
}  # fmt: skip


async def notify_cases(connection: Connection, records: Rows) -> list[Out]:
    cases = folded(records)
    known = await connection.fetch(
        "SELECT * FROM subject WHERE case_id = ANY($1::uuid[])",
        sorted(cases),
    )
    before = {row["case_id"] for row in known}
    now, new, old, waiting = datetime.now(UTC), [], [], []
    for case_id, steps in cases.items():
        name, last = steps[-1]
        if case_id not in before:
            first = steps[0][1]
            new.append(
                (
                    case_id, last["seq"], 2, True, True, UUID(first["report_id"]), first["number"],
                    "zh", "live", first["category"], name, "L01", "李敏", "Li Min",
                )
            )  # fmt: skip
        else:
            old.append((case_id, last["seq"], name))
        for kind, body in steps:
            for who in MESSAGES.get(kind, ()):
                waiting.append((case_id, who, body["seq"], kind, now))
    await copy(connection, "subject", new)
    if old:
        await connection.execute(
            "UPDATE subject s SET seq = n.seq, state = n.state, asked = s.asked + 1"
            " FROM unnest($1::uuid[], $2::int[], $3::text[]) AS n(id, seq, state)"
            " WHERE s.case_id = n.id",
            *zip(*old, strict=True),
        )
    if waiting:
        await connection.execute(
            "INSERT INTO message_waiting (case_id, recipient, seq, shard, kind, asked_at,"
            " not_before, occurred_at, traceparent, lead_zh, lead_en)"
            " SELECT id, who, seq, 0, kind, at, at, at, $6, '李敏', 'Li Min'"
            " FROM unnest($1::uuid[], $2::text[], $3::int[], $4::text[], $5::timestamptz[])"
            " AS w(id, who, seq, kind, at) ON CONFLICT DO NOTHING",
            *zip(*waiting, strict=True),
            TRACE,
        )
    return []


async def notify_send(service: Service) -> None:
    """Claim, commit, send into nothing, settle: one at a time for each case and reader."""
    while True:
        async with service.pool.acquire() as connection:
            claimed = await connection.fetch(
                """
                UPDATE message_waiting w SET sending_by = 'sink', attempts = attempts + 1
                FROM (SELECT DISTINCT ON (case_id, recipient) case_id, recipient, seq
                      FROM message_waiting WHERE lane = '' AND not_before <= now()
                      ORDER BY case_id, recipient, seq LIMIT 500) d
                WHERE (w.case_id, w.recipient, w.seq) = (d.case_id, d.recipient, d.seq)
                RETURNING w.case_id, w.recipient, w.seq, w.kind
                """
            )
        if not claimed:
            await asyncio.sleep(0.05)
            continue
        now = datetime.now(UTC)
        instant, done, out = now.isoformat(), [], []
        for case_id, recipient, seq, kind in claimed:
            done.append((case_id, recipient, seq, kind, "sent", "sink", None, now))
            key, message_id = str(case_id), str(uuid7(int(now.timestamp() * 1000)))
            body = {
                "case_id": key, "message_id": message_id, "seq": seq,
                "recipient": recipient.partition(":")[0], "provider": "sink", "result": "sent",
                "error": None, "occurred_at": instant,
            }  # fmt: skip
            kind = "lastmetre.message.delivered.v1"
            out.append(event("notify.deliveries", key, kind, body, message_id, instant))
        async with service.pool.acquire() as connection, connection.transaction():
            await connection.execute(
                "DELETE FROM message_waiting w"
                " USING unnest($1::uuid[], $2::text[], $3::int[]) AS d(id, who, seq)"
                " WHERE w.case_id = d.id AND w.recipient = d.who AND w.seq = d.seq",
                *(list(column) for column in list(zip(*claimed, strict=True))[:3]),
            )
            await copy(connection, "message_done", done)
            await service.outbox(connection, out)
        service.wake.set()
