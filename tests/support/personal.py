"""Looks for personal data wherever a stack keeps anything: topics, tables, files, pages."""

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from lastmetre.devstack.demo.scenario import PlannedReport

Found = tuple[str, str]
"""A place and what was found there."""

_CHINESE: Final = re.compile(r"[㐀-鿿]+")
_DIGITS: Final = re.compile(r"\d{11,}")
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w.-]+\w")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2}){8,}")
_ESCAPED: Final = re.compile(r"\\\\?u([0-9a-f]{4})", re.IGNORECASE)
_PHONE_DIGITS: Final = 11
_SHORTEST_TEXT: Final = 5


class Needles:
    """What must not be found: names, phones, e-mail addresses, and what reporters wrote.

    A text is known by its longest run of Chinese letters.
    """

    def __init__(self, reports: Iterable[PlannedReport]) -> None:
        self.phones: set[str] = set()
        self.emails: set[str] = set()
        self.words: set[str] = set()
        for report in reports:
            for written in (report.text, report.address):
                run = max(_CHINESE.findall(written), key=len)
                assert len(run) >= _SHORTEST_TEXT, written
                self.words.add(run)
            if contact := report.contact:
                self.words.add(contact.name or "")
                self.phones.add(contact.phone or "")
                self.emails.add(contact.email or "")
        for kind in (self.phones, self.emails, self.words):
            kind.discard("")

    def add_leads(self, rows: Iterable[Mapping[str, str]]) -> None:
        """Leads' names and posts are published, their phones and addresses are not."""
        for row in rows:
            self.phones.add(row["phone"])
            self.emails.add(row["email"])

    def within(self, content: bytes) -> set[str]:
        """Those that can be read in `content`: as it is, JSON-escaped, or in hexadecimal."""
        found: set[str] = set()
        for text in _readings(content):
            for run in set(_DIGITS.findall(text)):
                ends = range(_PHONE_DIGITS, len(run) + 1)
                found |= {run[end - _PHONE_DIGITS : end] for end in ends} & self.phones
            found |= {each.lower() for each in _EMAIL.findall(text)} & self.emails
            runs = "\n".join(set(_CHINESE.findall(text)))
            found |= {word for word in self.words if word in runs}
        return found


def _readings(content: bytes) -> Iterator[str]:
    text = content.decode("utf-8", "ignore")
    yield text
    if _ESCAPED.search(text):
        yield _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    hidden = b"\n".join(bytes.fromhex(each) for each in _HEX.findall(text))
    if hidden:
        yield hidden.decode("utf-8", "ignore")


async def topics(bootstrap: str) -> dict[str, bytes]:
    """Everything in every topic: keys, values and headers, by the topic's name."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        places = {
            topic["topic"]: [
                TopicPartition(topic["topic"], each["partition"]) for each in topic["partitions"]
            ]
            for topic in await admin.describe_topics()
        }
    finally:
        await admin.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        return {name: await _everything(consumer, each) for name, each in sorted(places.items())}
    finally:
        await consumer.stop()


async def _everything(consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> bytes:
    consumer.assign(places)
    await consumer.seek_to_beginning(*places)
    ends = await consumer.end_offsets(places)
    read = io.BytesIO()
    while any([await consumer.position(place) < ends[place] for place in places]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for each in records:
                parts = [each.key, each.value]
                for name, value in each.headers:
                    parts += [name.encode(), value]
                read.write(b"\n".join(part or b"" for part in parts) + b"\n")
    return read.getvalue()


async def tables(databases: Mapping[str, str]) -> dict[str, bytes]:
    """Every row of every table as text, by `database.table`; sealed columns in hexadecimal."""
    contents: dict[str, bytes] = {}
    for service, url in databases.items():
        connection = await asyncpg.connect(url)
        try:
            names = await connection.fetch(
                "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            for (name,) in names:
                output = io.BytesIO()
                query = f"SELECT * FROM {name}"
                await connection.copy_from_query(query, output=output)
                contents[f"{service} {name}"] = output.getvalue()
        finally:
            await connection.close(timeout=5)
    return contents


def files(root: Path, *exempt: str) -> dict[str, bytes]:
    """Every file below a stack's home, but for these folders in it."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.relative_to(root).parts[0] not in exempt
    }


def search(needles: Needles, *places: Mapping[str, bytes]) -> set[Found]:
    """What can be read where."""
    return {
        (place, needle)
        for contents in places
        for place, content in contents.items()
        for needle in needles.within(content)
    }


def as_json(value: Any) -> bytes:
    """JSON with everything escaped that is not ASCII."""
    return json.dumps(value).encode()
