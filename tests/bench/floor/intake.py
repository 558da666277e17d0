"""Reports are kept and told; cases are followed."""

import json
import os
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.bench.floor.runtime import PREFIX, Connection, Out, Rows, copy, event, folded, uuid7


async def intake_channels(connection: Connection, records: Rows) -> list[Out]:
    now = datetime.now(UTC)
    instant, ms = now.isoformat(), int(now.timestamp() * 1000)
    rows, vault, out = [], [], []
    for record in records:
        body = json.loads(record.value or b"")
        report_id, identity = uuid7(ms), os.urandom(12)
        rows.append(
            (
                report_id, identity, "sender", "hotline", body["source_id"], os.urandom(32),
                "accepted", "live", body["category"], now, record.topic, record.partition,
                record.offset, record.timestamp, body["position"]["latitude"],
                body["position"]["longitude"],
            )
        )  # fmt: skip
        vault.append((report_id, record.value))
        accepted = {
            "report_id": str(report_id),
            "channel": "hotline",
            "sub_channel": None,
            "origin": "live",
            "category": body["category"],
            "source_category": body["category"],
            "reported_at": instant,
            "received_at": instant,
            "position": body["position"],
            "reporter_reachable": True,
            "language": "zh",
            "came_from": {
                "identity": identity.hex(),
                "topic": record.topic.removeprefix(PREFIX),
                "partition": record.partition,
                "offset": record.offset,
                "appended_at": record.timestamp,
            },
        }
        kind = "lastmetre.report.accepted.v1"
        out.append(event("reports", str(report_id), kind, accepted, str(report_id), instant))
    await connection.fetch(
        """
        INSERT INTO report (report_id, identity, sender, channel, source_id, fingerprint, outcome,
            origin, category, reported_at, topic, partition, "offset", appended_at, latitude,
            longitude, reasons)
        SELECT *, '{}' FROM unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], $5::text[],
            $6::bytea[], $7::text[], $8::text[], $9::text[], $10::timestamptz[], $11::text[],
            $12::int[], $13::bigint[], $14::bigint[], $15::float8[], $16::float8[])
        ON CONFLICT DO NOTHING RETURNING report_id
        """,
        *zip(*rows, strict=True),
    )
    await copy(connection, "vault", vault)
    return out


async def intake_cases(connection: Connection, records: Rows) -> list[Out]:
    cases = folded(records)
    known = await connection.fetch(
        "SELECT case_id, seq FROM case_view WHERE case_id = ANY($1::uuid[])", list(cases)
    )
    before = {row[0] for row in known}
    new, moved, entries = [], [], []
    for case_id, steps in cases.items():
        first, last = steps[0][1], steps[-1][1]
        if case_id in before:
            moved.append((case_id, last["seq"]))
        else:
            new.append((case_id, UUID(first["report_id"]), first["number"], last["seq"]))
        told: list[Any] = [
            (b["seq"], name, b["occurred_at"], b["recorded_at"], {}) for name, b in steps
        ]
        entries.append((case_id, last["seq"], json.dumps(told)))
    await copy(connection, "case_view", new)
    await connection.execute(
        "UPDATE case_view v SET seq = m.seq"
        " FROM unnest($1::uuid[], $2::int[]) AS m(case_id, seq) WHERE v.case_id = m.case_id",
        *(zip(*moved, strict=True) if moved else ([], [])),
    )
    await copy(connection, "timeline", entries)
    return []
