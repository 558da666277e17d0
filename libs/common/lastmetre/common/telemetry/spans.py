"""What whoever makes spans does with them: contexts as W3C writes them, ends and errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
    use_span,
)

NO_PARENT: Final = Context()
_TRACEPARENT: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


def parsed(traceparent: str | None) -> SpanContext | None:
    """The context that is written there; None for what is none by W3C's rules."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    if found is None:
        return None
    trace_id, span_id, flags = (int(each, 16) for each in found.groups())
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None


def written(context: SpanContext) -> str:
    """That context as W3C's `traceparent`."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def below(context: SpanContext | None) -> Context:
    """Where a span is begun whose parent has that context; None: it begins a trace."""
    return set_span_in_context(NonRecordingSpan(context), NO_PARENT) if context else NO_PARENT


@contextmanager
def running(span: Span) -> Iterator[Span]:
    """Let that span run for the block, and end it. Of an error only its type is told: its words may
    hold what a person has written."""
    with use_span(span, record_exception=False, set_status_on_exception=False):
        try:
            yield span
        except BaseException as error:
            failed(span, type(error).__name__)
            raise
        finally:
            span.end()


def failed(span: Span, error_type: str) -> None:
    """What the span is about has failed."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
