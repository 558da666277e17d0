"""Facts of cases, movements, counts of reports and messages."""

import json
from datetime import UTC, datetime
from uuid import UUID

from tests.bench.floor.runtime import PREFIX, Connection, Out, Rows, folded

MOVEMENTS = 40


async def metrics_cases(connection: Connection, records: Rows) -> list[Out]:
    cases = folded(records)
    known = await connection.fetch(
        "SELECT * FROM fact WHERE case_id = ANY($1::uuid[])",
        sorted(cases),
    )
    before = {row["case_id"] for row in known}
    new, old, moves = [], [], []
    for case_id, steps in cases.items():
        name, last = steps[-1]
        at = datetime.fromisoformat(last["occurred_at"])
        times = {name: at for name, _ in steps}
        if case_id not in before:
            first = steps[0][1]
            new.append(
                (
                    case_id, last["seq"], first["number"], UUID(first["report_id"]), "hotline",
                    "live", first["category"], first["category"], at, at.date(), at, name, True,
                    "A01", "L01", times.get("dispatched"), 0, 0, False, False,
                )
            )  # fmt: skip
        if case_id in before or "accepted" in times:
            old.append(
                (
                    case_id, last["seq"], name, name != "closed", times.get("accepted"),
                    times.get("resolved"), times.get("verified"), times.get("closed"),
                )
            )  # fmt: skip
        moves.append((case_id, last["seq"], "n", "hotline", "A01", name, at))
    await connection.copy_records_to_table(
        "fact",
        records=new,
        columns=(
            "case_id", "seq", "number", "report_id", "channel", "origin", "category",
            "source_category", "reported_at", "reported_day", "registered_at", "state", "open",
            "area_id", "lead_id", "dispatched_at", "returns", "reopenings",
            "closed_before_reported", "fixed_on_spot",
        ),
    )  # fmt: skip
    if old:
        await connection.execute(
            """
            UPDATE fact f SET seq = n.seq, state = n.state, open = n.open,
                accepted_at = coalesce(n.accepted, accepted_at), resolved_at = n.resolved,
                verified_at = n.verified, closed_at = n.closed
            FROM unnest($1::uuid[], $2::int[], $3::text[], $4::boolean[], $5::timestamptz[],
                $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])
                AS n(id, seq, state, open, accepted, resolved, verified, closed)
            WHERE f.case_id = n.id
            """,
            *zip(*old, strict=True),
        )
    await connection.execute(
        """
        INSERT INTO movement
        SELECT * FROM unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[],
            $6::text[], $7::timestamptz[])
        ON CONFLICT (case_id) DO UPDATE SET seq = excluded.seq, step = excluded.step,
            moved_at = excluded.moved_at
        """,
        *zip(*sorted(moves[-MOVEMENTS:]), strict=True),
    )
    await connection.execute(
        "DELETE FROM movement WHERE case_id = ANY (ARRAY("
        "SELECT case_id FROM movement ORDER BY moved_at DESC OFFSET $1))",
        MOVEMENTS,
    )
    return []


async def metrics_counted(connection: Connection, records: Rows) -> list[Out]:
    today = datetime.now(UTC).date()
    bodies = [(record.topic, json.loads(record.value or b"")) for record in records]
    reports = [(UUID(b["report_id"]), today) for t, b in bodies if t == PREFIX + "reports"]
    messages = [
        (UUID(b["message_id"]), today, b["recipient"])
        for t, b in bodies
        if t == PREFIX + "notify.deliveries"
    ]
    if reports:
        await connection.execute(
            "INSERT INTO report SELECT id, 'hotline', 'live', day, true, '{}'"
            " FROM unnest($1::uuid[], $2::date[]) AS r(id, day) ON CONFLICT DO NOTHING",
            *zip(*reports, strict=True),
        )
    if messages:
        await connection.execute(
            "INSERT INTO message SELECT id, day, who, 'sink', 'sent'"
            " FROM unnest($1::uuid[], $2::date[], $3::text[]) AS m(id, day, who)"
            " ON CONFLICT DO NOTHING",
            *zip(*messages, strict=True),
        )
    return []
