"""`lastmetre case show`: the whole way of one case."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer
from pydantic_core import from_json
from rich.table import Table

from lastmetre.cli.client import Refused, ServiceClient
from lastmetre.cli.console import (
    STDOUT,
    Trouble,
    as_it_is,
    print_document,
    working,
)
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.topics import (
    CASE_EVENTS,
    FEEDBACK,
    FIELD_ACTIONS,
    FIELD_OUTCOMES,
    NOTIFY_DELIVERIES,
    PARTITIONS,
    REPORTS,
)
from lastmetre.common.kafka.codec import ConsumedRecord, instant
from lastmetre.common.kafka.partitioner import partitions_of
from lastmetre.common.kafka.topic_reader import TopicsUnreadable, open_topics
from lastmetre.common.kafka.writer_epochs import WriterEpochs
from lastmetre.common.service.ids import trace_id

app = typer.Typer(name="case", help="Single cases.", no_args_is_help=True)

NOT_FOUND: Final = 404
BY_CASE: Final = (CASE_EVENTS, FIELD_ACTIONS, FIELD_OUTCOMES, FEEDBACK, NOTIFY_DELIVERIES)
TOLD: Final = (
    "seq", "actor", "channel", "category", "source_category", "reason", "reasons", "area_id",
    "action", "done", "refusal", "recipient", "provider", "result", "error", "score", "solved",
    "closing",
)  # fmt: skip
"""What of a message's body is shown beside it in the table."""


@app.callback()
def case() -> None:
    """Single cases."""


@app.command()
def show(
    known_as: Annotated[str, typer.Argument(metavar="ID", help="Case id, or number for people.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """The whole way of a case: report, events, actions, messages, figures.

    With when each happened, was recorded and appended, its place on its topic, and its trace.
    Topics are read through where the case's records lie; what they no longer keep is not shown.
    """
    with ServiceClient(installation()) as services:
        try:
            found = services.get("dispatch", f"/api/dispatch/v1/cases/{quote(known_as, safe='')}")
        except Refused as refused:
            if refused.status != NOT_FOUND:
                raise
            raise Trouble(
                f"Dispatch knows no case {known_as!r}.", "give its id, or a number as 180101-0001."
            ) from refused
        figures = _figures(services, found["case_id"])
    try:
        with working("reading the topics"):
            way = asyncio.run(_way(found["case_id"], found["report_ids"]))
    except TopicsUnreadable as error:
        raise Trouble(error.problem, error.way_out) from error
    document = {
        **{name: value for name, value in found.items() if name != "ledger"},
        "trace_ids": list(dict.fromkeys(step["trace_id"] for step in way if step["trace_id"])),
        "way": way,
        "figures": figures,
    }
    if as_json:
        print_document(document)
    else:
        print_case(document)


def _figures(services: ServiceClient, case_id: str) -> dict[str, Any] | None:
    """None while metrics has not heard of it."""
    try:
        found: dict[str, Any] = services.get("metrics", f"/api/metrics/v1/cases/{case_id}")
    except Refused as refused:
        if refused.status != NOT_FOUND:
            raise
        return None
    return found


async def _way(case_id: str, report_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Everything on the topics about it, in the order in which it was appended."""
    keys = {(REPORTS, each.encode()) for each in report_ids}
    keys |= {(topic, case_id.encode()) for topic in BY_CASE}
    places = sorted({(topic, partitions_of([key], PARTITIONS)[0]) for topic, key in keys})
    found: list[ConsumedRecord] = []
    epochs = WriterEpochs()
    async with open_topics(*installation().broker()) as topics:
        starts, ends = await topics.beginnings(places), await topics.ends(places)
        async for record in topics.records(places, starts, ends):
            in_force = record.topic != CASE_EVENTS or epochs.in_force([record])
            if in_force and (record.topic, record.key) in keys:
                found.append(record)
    found.sort(key=lambda record: (record.timestamp, record.topic, record.offset))
    return [_step(record) for record in found]


def _step(record: ConsumedRecord) -> dict[str, Any]:
    trace = record.traceparent
    return {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "type": _text(record, "ce_type"),
        "occurred_at": _text(record, "ce_time"),
        "recorded_at": _text(record, "ce_recordedtime"),
        "appended_at": instant(record.appended_at),
        "trace_id": trace_id(trace) if trace else None,
        "body": _body(record),
    }


def _text(record: ConsumedRecord, name: str) -> str | None:
    value = record.header(name)
    return value.decode("utf-8", "replace") if value is not None else None


def _body(record: ConsumedRecord) -> Any:
    """A partner may have written anything."""
    try:
        return from_json(record.value or b"null")
    except ValueError:
        return None


def print_case(document: Mapping[str, Any]) -> None:
    """As a person reads it; what partners wrote controls no terminal."""
    head = Table.grid(padding=(0, 2))
    for name in ("number", "case_id", "report_ids", "state", "area_id", "lead_id", "trace_ids"):
        value = document[name]
        head.add_row(name, as_it_is(", ".join(value) if isinstance(value, list) else value or "–"))
    STDOUT.print(head)
    table = Table("happened", "recorded", "on the topic", "what", box=None, header_style="bold")
    for step in document["way"]:
        cells = (
            step["occurred_at"] or "–",
            step["recorded_at"] or "–",
            f"{step['topic']}-{step['partition']}@{step['offset']}",
            _what(step),
        )
        table.add_row(*map(as_it_is, cells))
    STDOUT.print(table)
    figures = Table.grid(padding=(0, 2))
    for name, value in (document["figures"] or {}).items():
        if value is not None and (name.endswith("_at") or name in _FIGURES):
            figures.add_row(name, as_it_is(value))
    STDOUT.print(figures)


_FIGURES: Final = ("response_seconds", "closed_before_reported", "fixed_on_spot", "returns",
                   "reopenings", "score", "solved")  # fmt: skip


def _what(step: Mapping[str, Any]) -> str:
    """The short name of its type, and what its body says in codes."""
    name = ".".join((step["type"] or "unknown").removeprefix("lastmetre.").split(".")[:2])
    body = step["body"] if isinstance(step["body"], dict) else {}
    told = (f"{key}={_value(body[key])}" for key in TOLD if body.get(key) not in (None, []))
    return f"{name}  {' '.join(told)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ":".join(str(part) for part in value.values() if part)
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
