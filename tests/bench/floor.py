"""The floor: the platform's messages, rows and guarantees in one bare aiokafka + asyncpg program.

    python -m tests.bench.floor intake|dispatch|notify|metrics

No FastStream, no pydantic, no pages, no encryption, no checks of what it reads. What it keeps is
what costs in any language: each batch one transaction with its position, every record through an
outbox that a relay empties in order with one unacknowledged batch a partition, case rows locked in
key order, messages claimed before and settled after they are sent. Tables are the services' own.
"""

import asyncio
import json
import os
import sys
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from lastmetre.common.kafka.partitioner import partitions_of

Connection = asyncpg.pool.PoolConnectionProxy
Out = tuple[str, bytes, bytes, bytes]  # topic, key, headers, value
Rows = list[ConsumerRecord[Any, Any]]

BOOTSTRAP = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
PREFIX = os.environ.get("LASTMETRE_TOPIC_PREFIX", "")
PARTITIONS = 12
BATCH = 1000
PACK = 14
PACK_BYTES = 16 * 1024
BATCH_BYTES = 512 * 1024
HEADERS = (
    "ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_recordedtime",
    "traceparent", "content-type",
)  # fmt: skip
MOVEMENTS = 40
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SYSTEM = {"role": "system", "id": None}
LEAD = {
    "lead_id": "L01",
    "name": {"zh": "李敏", "en": "Li Min"},
    "post": {"zh": "片长", "en": "Area lead"},
}
# As compact as the platform's; json.dumps would make a new encoder each time.
to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def uuid7(milliseconds: int) -> UUID:
    bits = int.from_bytes(os.urandom(10), "big")
    high, low = bits >> 62 & 0xFFF, bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 7 << 76 | high << 64 | 2 << 62 | low)


def header(record: ConsumerRecord[Any, Any], name: str) -> bytes:
    for key, value in record.headers:
        if key == name:
            return value
    return b""


def event(topic: str, key: str, kind: str, body: dict[str, Any], event_id: str, now: str) -> Out:
    headers = "\n".join(("1.0", event_id, kind, "/floor", key, now, now, TRACE, "application/json"))
    return topic, key.encode(), headers.encode(), to_json(body).encode()


class Service:
    """Pool, outbox relay and consumers of one service."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wake = asyncio.Event()

    async def start(self) -> None:
        dsn = os.environ[f"{self.name.upper()}_DATABASE_URL"]
        self.pool = await asyncpg.create_pool(dsn, min_size=2, max_size=8)
        self.producer = AIOKafkaProducer(
            bootstrap_servers=BOOTSTRAP,
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=3 << 20,
        )
        await self.producer.start()
        self.relaying = asyncio.create_task(self.relay())

    async def outbox(self, connection: Connection, out: list[Out]) -> None:
        packs: dict[tuple[str, int, int], list[list[bytes]]] = {}
        filled: list[tuple[object, ...]] = []
        partitions = partitions_of([each[1] for each in out], PARTITIONS)
        for (topic, *record), partition in zip(out, partitions, strict=True):
            place = topic, partition, partition
            pack = packs.setdefault(place, [])
            pack.append(record)
            if len(pack) == PACK:
                filled.append((*place, PACK, *map(list, zip(*packs.pop(place), strict=True))))
        for place, pack in packs.items():
            filled.append((*place, len(pack), *map(list, zip(*pack, strict=True))))
        await connection.copy_records_to_table(
            "outbox",
            records=filled,
            columns=("topic", "partition", "shard", "records", "keys", "headers", "bodies"),
        )

    async def relay(self) -> None:
        async with self.pool.acquire() as connection:
            await connection.execute("SELECT pg_advisory_lock(1)")
            while True:
                self.wake.clear()
                rows = await connection.fetch(
                    "SELECT id, topic, partition, keys, headers, bodies FROM outbox"
                    " ORDER BY id LIMIT 250"
                )
                if not rows:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.wake.wait(), 0.1)
                    continue
                ids = await self.send(rows)
                await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", ids)

    async def send(self, rows: list[asyncpg.Record]) -> list[int]:
        groups: dict[tuple[str, int], list[asyncpg.Record]] = defaultdict(list)
        for row in rows:
            groups[row[1], row[2]].append(row)
        ids, futures = [], []
        for (topic, partition), group in groups.items():
            batch = self.producer.create_batch()
            for row in group:
                if batch.size() > BATCH_BYTES - PACK_BYTES:
                    break
                for key, packed, value in zip(row[3], row[4], row[5], strict=True):
                    headers = list(zip(HEADERS, packed.split(b"\n"), strict=True))
                    assert batch.append(key=key, value=value, timestamp=None, headers=headers)
                ids.append(row[0])
            futures.append(
                await self.producer.send_batch(batch, PREFIX + topic, partition=partition)
            )
        await asyncio.gather(*futures)
        return ids

    async def consume(
        self,
        flow: str,
        topics: list[str],
        handle: Callable[[Connection, Rows], Awaitable[list[Out]]],
    ) -> None:
        consumer = AIOKafkaConsumer(
            *(PREFIX + topic for topic in topics),
            bootstrap_servers=BOOTSTRAP,
            group_id=f"{PREFIX}floor.{self.name}.{flow}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        stored: dict[TopicPartition, int] = {}
        while True:
            polled = await consumer.getmany(timeout_ms=20, max_records=BATCH)
            if not polled:
                continue
            records = [record for part in polled.values() for record in part]
            async with self.pool.acquire() as connection, connection.transaction():
                await self.move(connection, flow, polled, stored)
                out = await handle(connection, records)
                if out:
                    await self.outbox(connection, out)
            stored.update({place: part[-1].offset + 1 for place, part in polled.items()})
            if out:
                self.wake.set()

    async def move(
        self,
        connection: Connection,
        flow: str,
        polled: dict[TopicPartition, Rows],
        stored: dict[TopicPartition, int],
    ) -> None:
        order = sorted(polled)
        moved = await connection.fetch(
            """
            INSERT INTO position (flow, topic, partition, next_offset, appended_at)
            SELECT $1, w.topic, w.partition, w.next, w.at
            FROM unnest($2::text[], $3::int[], $4::bigint[], $5::bigint[], $6::bigint[])
                AS w(topic, partition, was, next, at)
            ON CONFLICT (flow, topic, partition) DO UPDATE
                SET next_offset = excluded.next_offset, appended_at = excluded.appended_at
            RETURNING 1
            """,
            flow,
            [place.topic for place in order],
            [place.partition for place in order],
            [stored.get(place) for place in order],
            [polled[place][-1].offset + 1 for place in order],
            [polled[place][-1].timestamp for place in order],
        )
        assert len(moved) == len(order)


async def intake_channels(connection: Connection, records: Rows) -> list[Out]:
    now = datetime.now(UTC)
    instant, ms = now.isoformat(), int(now.timestamp() * 1000)
    rows, vault, out = [], [], []
    for record in records:
        body = json.loads(record.value or b"")
        report_id = uuid7(ms)
        rows.append(
            (
                report_id, os.urandom(12), "sender", "hotline", body["source_id"], os.urandom(32),
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
    await connection.copy_records_to_table("vault", records=vault)
    return out


def step(record: ConsumerRecord[Any, Any]) -> str:
    return header(record, "ce_type").split(b".")[2].decode()


def folded(records: Rows) -> dict[UUID, list[tuple[str, dict[str, Any]]]]:
    cases: dict[UUID, list[tuple[str, dict[str, Any]]]] = defaultdict(list)
    for record in records:
        body = json.loads(record.value or b"")
        cases[UUID(body["case_id"])].append((step(record), body))
    return cases


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
    await connection.copy_records_to_table("case_view", records=new)
    await connection.execute(
        "UPDATE case_view v SET seq = m.seq"
        " FROM unnest($1::uuid[], $2::int[]) AS m(case_id, seq) WHERE v.case_id = m.case_id",
        *(zip(*moved, strict=True) if moved else ([], [])),
    )
    await connection.copy_records_to_table("timeline", records=entries)
    return []


def case_event(case_id: str, seq: int, kind: str, now: str, **more: Any) -> Out:
    actor = more.pop("actor", SYSTEM)
    body = {
        "case_id": case_id, "seq": seq, "occurred_at": now, "recorded_at": now, "actor": actor,
    } | more  # fmt: skip
    return event("case.events", case_id, f"lastmetre.case.{kind}.v1", body, f"{case_id}:{seq}", now)


async def dispatch_requests(connection: Connection, records: Rows) -> list[Out]:
    now = datetime.now(UTC)
    out: list[Out] = []
    ledger: list[tuple[object, ...]] = []
    reports = [r for r in records if r.topic == PREFIX + "reports"]
    actions = [r for r in records if r.topic == PREFIX + "field.actions"]
    if reports:
        await register(connection, [json.loads(r.value or b"") for r in reports], now, out, ledger)
    if actions:
        await act(connection, [json.loads(r.value or b"") for r in actions], now, out, ledger)
    await connection.copy_records_to_table("ledger", records=ledger)
    return out


async def register(
    connection: Connection,
    reports: list[dict[str, Any]],
    now: datetime,
    out: list[Out],
    ledger: list[tuple[object, ...]],
) -> None:
    ids = [UUID(report["report_id"]) for report in reports]
    await connection.fetch('SELECT report_id FROM "case" WHERE report_id = ANY($1::uuid[])', ids)
    last = await connection.fetchval(
        "INSERT INTO day_number AS d VALUES ($1, $2) ON CONFLICT (day)"
        " DO UPDATE SET last = d.last + $2 RETURNING last",
        now.date(),
        len(reports),
    )
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
        for seq, kind in ((1, "registered"), (2, "dispatched")):
            ledger.append((case_id, seq, f"lastmetre.case.{kind}.v1", now, now, "system", None))
        rows.append(
            (
                case_id, 2, "dispatched", True, number, ids[count], "hotline", "live",
                report["category"], "zh", now, place["latitude"], place["longitude"], now, "A01",
                "L01", None, (), (),
            )
        )  # fmt: skip
    await connection.copy_records_to_table("case", records=rows)


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
            ledger.append((case_id, seqs[case_id], name, now, now, who["role"], who["id"]))
        states[case_id] = kinds[-1]
        answers.append(
            (action_id, case_id, action["action"], None, seqs[case_id], now, action_id.bytes)
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
    await connection.copy_records_to_table("answer", records=answers)


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
        else:
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
    await connection.copy_records_to_table("subject", records=new)
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
            await connection.copy_records_to_table("message_done", records=done)
            await service.outbox(connection, out)
        service.wake.set()


CHANNELS = ["channels.hotline", "channels.app", "channels.patrol"]


async def main(name: str) -> None:
    service = Service(name)
    await service.start()
    work = [service.relaying]
    match name:
        case "intake":
            flows = [
                ("channels", CHANNELS, intake_channels),
                ("cases", ["case.events"], intake_cases),
            ]
        case "dispatch":
            flows = [("requests", ["reports", "field.actions"], dispatch_requests)]
        case "notify":
            flows = [("cases", ["case.events"], notify_cases)]
            work.append(asyncio.create_task(notify_send(service)))
        case _:
            flows = [
                ("cases", ["case.events"], metrics_cases),
                ("counted", ["reports", "notify.deliveries"], metrics_counted),
            ]
    work += [asyncio.create_task(service.consume(*flow)) for flow in flows]
    print("ready", flush=True)
    await asyncio.gather(*work)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
