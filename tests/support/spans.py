"""Spans that are kept instead of exported, or lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lastmetre.common.telemetry.otlp import OtlpTracer
from lastmetre.common.telemetry.traces import TRACES


class Kept:
    """The spans that have ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> list[ReadableSpan]:
        """In the order of their ends."""
        return list(self._exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of that name."""
        return [each for each in self.all() if each.name == name]


@asynccontextmanager
async def kept_spans() -> AsyncIterator[Kept]:
    """This process makes spans, which are kept, as long as the block runs."""
    exporter = InMemorySpanExporter()
    async with spans_given_to(SimpleSpanProcessor(exporter)):
        yield Kept(exporter)


@asynccontextmanager
async def spans_given_to(processor: SpanProcessor) -> AsyncIterator[None]:
    """This process makes spans as long as the block runs."""
    TRACES.begin(OtlpTracer(processor, "tests", "0"))
    try:
        yield
    finally:
        await TRACES.end()


def context_of(span: ReadableSpan) -> str:
    """As W3C writes it; worked out here, since what writes it elsewhere is tested."""
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def parent_of(span: ReadableSpan) -> str | None:
    """The id of the span above it."""
    return f"{span.parent.span_id:016x}" if span.parent else None


def links_of(span: ReadableSpan) -> list[str]:
    """The ids of the spans that it is linked with."""
    return [f"{each.context.span_id:016x}" for each in span.links]
