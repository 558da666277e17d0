"""Check `clocks`: this machine's, the databases', the services', and Kafka's as services see it."""

import json
import re
import time
from collections.abc import Awaitable
from datetime import datetime
from typing import Final

import asyncpg

from lastmetre.cli.doctor.asking import NoAnswer, ask
from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.profile import Installation
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.errors import DATABASE_ERRORS

ANSWER_SECONDS: Final = 5.0
WARN_SECONDS: Final = 2.0
WRONG_SECONDS: Final = 60.0
_KAFKAS: Final = re.compile(r"^lastmetre_kafka_clock_ahead_seconds\{[^}]*\} (\S+)$", re.MULTILINE)
_MEANS: Final = (
    "times in the ledger, response times and deadlines are off by as much; what is told five"
    " minutes early is refused"
)
_WAY_OUT: Final = "let chrony or systemd-timesyncd run on every machine, against the same source"


async def look_at_clocks(installation: Installation, said: Findings) -> None:
    """Each against this machine's; a clock that cannot be asked is said by the other checks."""
    compared = 0
    for service in SERVICES:
        if url := installation.find(f"{service.upper()}_AUDIT_DATABASE_URL",
                                    f"{service.upper()}_DATABASE_URL"):  # fmt: skip
            compared += await _compare(f"database of {service}", _database(url), said)
        for number, url in enumerate(installation.known_admin_urls(service)):
            name = f"{service}-{number}"
            compared += await _compare(name, _process(url), said)
            compared += await _compare(f"Kafka, as {name} sees it", _kafka(url), said)
    if not compared:
        said.unknown(
            "clocks-not-known",
            "clocks",
            "no other clock answers",
            "see the checks services and postgresql",
        )


async def _compare(name: str, ahead: Awaitable[float | None], said: Findings) -> bool:
    seconds = await ahead
    if seconds is None:
        return False
    say_clock(name, seconds, said)
    return True


def say_clock(name: str, ahead_seconds: float, said: Findings) -> None:
    """Judge a clock that is ahead by so many seconds, or behind."""
    off = abs(ahead_seconds)
    words = f"{off:.1f} s {'ahead' if ahead_seconds > 0 else 'behind'}"
    if off < WARN_SECONDS:
        said.fine(name, f"within {WARN_SECONDS:.0f} s")
    elif off < WRONG_SECONDS:
        said.warn("clock-off", name, words, _MEANS, _WAY_OUT)
    else:
        said.wrong("clock-off", name, words, _MEANS, _WAY_OUT)


async def _database(url: str) -> float | None:
    try:
        connection = await asyncpg.connect(url, timeout=ANSWER_SECONDS)
        try:
            asked_at = time.time()
            told = await connection.fetchval("SELECT clock_timestamp()", timeout=ANSWER_SECONDS)
            came_at = time.time()
        finally:
            await connection.close(timeout=ANSWER_SECONDS)
    except (*DATABASE_ERRORS, OSError, ValueError):
        return None
    return float(told.timestamp()) - (asked_at + came_at) / 2


async def _process(url: str) -> float | None:
    """None for an older build, too, which does not tell its time."""
    try:
        answer = await ask(f"{url}/livez")
        return datetime.fromisoformat(json.loads(answer.body)["time"]).timestamp() - answer.midway
    except (NoAnswer, ValueError, KeyError, TypeError):
        return None


async def _kafka(url: str) -> float | None:
    """Kafka's against that process's, which the line before compares with ours."""
    try:
        found = _KAFKAS.search((await ask(f"{url}/metrics")).body)
    except NoAnswer:
        return None
    return float(found[1]) if found else None
