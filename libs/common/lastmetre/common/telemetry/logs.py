"""Structured logs: one JSON object a line, with the case id and trace id where there are any."""

import logging
import sys
from uuid import UUID

import structlog

from lastmetre.common.telemetry.traces import TRACES


def of_case(case_id: UUID | str, traceparent: str | None) -> dict[str, str]:
    """What a line about a case names beside its own facts; `traceparent` as W3C has it."""
    trace = {"trace_id": traceparent.split("-")[1]} if traceparent else {}
    return {"case_id": str(case_id), **trace}


def _with_trace(_: object, __: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Names the span that runs, and its trace unless the line has named one."""
    if running := TRACES.current():
        _, trace_id, span_id, _ = running.split("-")
        if line.setdefault("trace_id", trace_id) == trace_id:
            line["span_id"] = span_id
    return line


def configure_logs(service: str, **build: str) -> None:
    """Send our own and the libraries' logs to stderr as JSON lines, with service and `build`, and
    with trace and span where these are exported."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        *([_with_trace] if TRACES.on else []),
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    structlog.contextvars.bind_contextvars(service=service, **build)
    # A receipt or a secret link stands in the path: no access log.
    for name, level in (
        ("uvicorn.access", logging.CRITICAL),
        ("uvicorn.error", logging.WARNING),
        ("aiokafka", logging.ERROR),
        ("httpx", logging.WARNING),
    ):
        logging.getLogger(name).setLevel(level)
