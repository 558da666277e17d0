"""What is asked of a rig after a fault: does all work again, do the books balance, is each report
there once, has any message gone out twice."""

import asyncio
import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import asyncpg
import httpx

from lastmetre.common.postgres.errors import DATABASE_ERRORS
from tests.faults.rig.load import Load
from tests.faults.rig.rig import Rig
from tests.support.city import City, inside

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

QUIET_SECONDS: Final = 150.0
WORKS_WITHIN_SECONDS: Final = 120.0
LOOK_SECONDS: Final = 0.2
UNKNOWN_MESSAGES: Final = (
    "SELECT case_id, seq, recipient FROM message_done WHERE result = 'unknown'"
)


@dataclass(frozen=True)
class Known:
    """What is known of a report by everybody who has it: the ids that must never change."""

    report_id: UUID
    case_id: UUID
    number: str


@dataclass
class Count:
    """What was found of the reports that receipts were given for."""

    lost: list[str] = field(default_factory=list)
    """Where what of a report is missing."""
    doubled: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    """Reports that have another id or number than before the fault."""
    sent_twice: list[str] = field(default_factory=list)
    """Messages that came twice though nobody calls them unknown."""


async def _rows(rig: Rig, service: str, query: str, *values: object) -> list[asyncpg.Record]:
    connection = await asyncpg.connect(rig.audit_database(service), timeout=20)
    try:
        return await connection.fetch(query, *values)
    finally:
        await connection.close(timeout=5)


async def known(rig: Rig, load: Load) -> dict[str, Known]:
    """Ids and numbers of the reports so far, as far as they are cases that others have heard of."""
    reports = await _reports(rig, load)
    cases = {
        row["report_id"]: row for row in await _rows(
            rig, "metrics", "SELECT report_id, case_id, number FROM fact"
        )
    }  # fmt: skip
    return {
        source_id: Known(report_id, cases[report_id]["case_id"], cases[report_id]["number"])
        for source_id, report_id in reports
        if report_id in cases
    }


async def _reports(rig: Rig, load: Load) -> list[tuple[str, UUID]]:
    found = await _rows(
        rig, "intake", "SELECT source_id, report_id FROM report WHERE source_id = ANY($1)",
        list(load.receipts),
    )  # fmt: skip
    return [(row["source_id"], row["report_id"]) for row in found]


async def count(rig: Rig, load: Load, before: Mapping[str, Known]) -> Count:
    """Hold every receipt against all four databases and the mail server."""
    found = Count()
    reports = await _reports(rig, load)
    _compare(found, "report", set(load.receipts), Counter(source_id for source_id, _ in reports))
    ids = {report_id for _, report_id in reports}
    cases = await _rows(rig, "dispatch", 'SELECT report_id, case_id, number FROM "case"')
    cases = [row for row in cases if row["report_id"] in ids]
    _compare(found, "case", ids, Counter(row["report_id"] for row in cases))
    facts = await _rows(rig, "metrics", "SELECT report_id FROM fact")
    _compare(found, "fact", ids, Counter(r for (r,) in facts if r in ids))
    case_ids = {row["case_id"] for row in cases}
    for service, table in (("intake", "timeline"), ("notify", "subject")):
        told = await _rows(rig, service, f"SELECT DISTINCT case_id FROM {table}")
        _compare(found, table, case_ids, Counter(c for (c,) in told if c in case_ids))
    numbers = Counter(row["number"] for row in cases)
    found.doubled += [f"number {number}" for number, times in numbers.items() if times > 1]
    by_source = dict(reports)
    by_report = {row["report_id"]: (row["case_id"], row["number"]) for row in cases}
    found.changed += [
        source_id
        for source_id, was in before.items()
        if by_source.get(source_id) != was.report_id
        or by_report.get(was.report_id) != (was.case_id, was.number)
    ]
    found.sent_twice += sent_twice(rig.mail.came, await _rows(rig, "notify", UNKNOWN_MESSAGES))
    return found


def _compare(found: Count, what: str, wanted: set[Any], there: Counter[Any]) -> None:
    found.lost += [f"{what} of {each}" for each in wanted - there.keys()]
    found.doubled += [f"{what} of {each}" for each, times in there.items() if times > 1]


def sent_twice(came: Counter[str], unknown: list[asyncpg.Record]) -> list[str]:
    """Of what came to a mail server: messages that came more than once, though they are not among
    those of UNKNOWN_MESSAGES."""
    from lastmetre.notify.domain.messages import message_id

    ids = {str(message_id(row["case_id"], row["seq"], row["recipient"])) for row in unknown}
    return [message for message, times in came.items() if times > 1 and message not in ids]


async def works_again(rig: Rig, city: City, since: float) -> float:
    """Wait until a report sent after the fault has gone all the way and every process is well;
    returns the seconds since its end."""
    deadline = since + WORKS_WITHIN_SECONDS
    headers = city.credentials.channel("app")
    source_id = f"probe-{uuid.uuid4()}"
    body = {"source_id": source_id, "text": "路灯不亮", "position": inside(0)}
    taken = False
    why = ""
    while time.monotonic() < deadline:
        try:
            if not taken:
                answer = await city.http.post(
                    city.url("intake", "/channels/app/reports"), json=body, headers=headers
                )
                taken = answer.status_code == 202
                why = f"POST {answer.status_code}"
            if taken:
                why = await _not_arrived(rig, source_id) or str(
                    await asyncio.to_thread(rig.services.unwell) or ""
                )
                if not why:
                    return time.monotonic() - since
        except (httpx.TransportError, *DATABASE_ERRORS) as error:
            why = f"{type(error).__name__}: {error}"
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError(f"{WORKS_WITHIN_SECONDS:.0f} s after the fault not all works: {why}")


async def _not_arrived(rig: Rig, source_id: str) -> str:
    for service, query in (
        ("intake", "SELECT report_id FROM report WHERE source_id = $1"),
        ("dispatch", 'SELECT case_id FROM "case" WHERE report_id = $1'),
        ("metrics", "SELECT case_id FROM fact WHERE case_id = $1"),
        ("notify", "SELECT case_id FROM subject WHERE case_id = $1"),
    ):
        rows = await _rows(rig, service, query, source_id)
        if not rows:
            return f"the report sent after the fault is not in {service}"
        (source_id,) = rows[0]
    return ""


async def audit(rig: Rig, receipts: Path) -> tuple[bool, dict[str, Any]]:
    """`lastmetre audit --receipts`, once nothing is in flight: balanced, and its document."""
    code, document = await command(
        rig, "audit", "--json", "--timeout", str(QUIET_SECONDS), "--receipts", str(receipts)
    )
    return code == 0, document


async def command(rig: Rig, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of a `lastmetre` command; what it complained of if it has none."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("lastmetre")),
        *words,
        env={**os.environ, "LASTMETRE_HOME": str(rig.home.root)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode is not None
    document = json.loads(said) if said else {"complained": complained.decode()[-4000:]}
    return process.returncode, document


async def parked_or_dead(rig: Rig) -> dict[str, int]:
    """What waits or was put aside, by service and table; nothing where all went well."""
    found = {}
    for service in rig.postgres:
        for table in ("parked", "dead_letter"):
            ((number,),) = await _rows(rig, service, f"SELECT count(*) FROM {table}")
            if number:
                found[f"{service}.{table}"] = number
    return found
