"""Spans by OpenTelemetry, exported by OTLP over HTTP (protobuf) in a thread of its own.

The thread takes them from a bounded queue: while nobody takes them, or too slowly, spans are lost,
and a warning says so. Nobody who makes them waits. OpenTelemetry's ready-made instrumentation is
not used: it takes paths, queries, addresses and the words of errors for attributes, in which there
are secret links and personal data; and it knows neither our batches nor our outbox.
"""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import time_ns
from typing import Final

import httpx
import requests
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    TraceState,
    get_current_span,
)
from opentelemetry.util.types import Attributes as AnyAttributes
from starlette.types import ASGIApp

from lastmetre.common.telemetry.spans import NO_PARENT, below, failed, parsed, running, written
from lastmetre.common.telemetry.traced_http import TracedRequests, TracedTransport
from lastmetre.common.telemetry.traces import Attributes, Kind

END_SECONDS: Final = 1.0
_STATEMENT_CHARACTERS: Final = 500
_KINDS: Final = {
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
    "producer": SpanKind.PRODUCER,
}


def exporting_to(endpoint: str, service: str, version: str) -> "OtlpTracer":
    """A tracer whose spans go to the collector there, below `/v1/traces`.

    How many, how often, with which headers and certificates: OpenTelemetry's own variables.
    """
    session = requests.Session()
    session.trust_env = False  # no proxy or .netrc of the process sees what is exported
    exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", session=session)
    return OtlpTracer(BatchSpanProcessor(exporter), service, version)


class OtlpTracer:
    """A `Tracer`. `processor` is given the spans, and must not wait."""

    def __init__(self, processor: SpanProcessor, service: str, version: str) -> None:
        resource = Resource.create(
            {
                "service.namespace": "lastmetre",
                "service.name": service,
                "service.version": version,
            }
        )
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.sampler = _SampledByLinks(self._provider.sampler)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("lastmetre")

    def current(self) -> str | None:
        """The context of the span that runs; None below one that has ended: a task that was begun
        in it may go on for hours."""
        span = get_current_span()
        context = span.get_span_context()
        if not context.is_valid or (context.trace_flags.sampled and not span.is_recording()):
            return None
        return written(context)

    @contextmanager
    def span(self, name: str, kind: Kind, attributes: Attributes) -> Iterator[Span]:
        """A span around the block, below the one that runs."""
        span = self._tracer.start_span(name, None, _KINDS[kind], attributes)
        with running(span):
            yield span

    @contextmanager
    def batch(
        self, name: str, kind: Kind, contexts: Sequence[str | None], attributes: Attributes
    ) -> Iterator[Sequence[str]]:
        """See `Traces.batch`."""
        attributes = {**attributes, "messaging.batch.message_count": len(contexts)}
        parents = {each: parsed(each) for each in dict.fromkeys(contexts)}
        if len(contexts) == 1 or (len(parents) == 1 and contexts[0] and parents[contexts[0]]):
            one = self._tracer.start_span(
                name, below(parents[contexts[0]]), _KINDS[kind], attributes
            )
            with running(one):
                yield [written(one.get_span_context())] * len(contexts)
            return
        links = [Link(each) for each in parents.values() if each and each.trace_flags.sampled]
        shared = self._tracer.start_span(name, NO_PARENT, _KINDS[kind], attributes, links)
        parts: list[Span] = []
        try:
            with running(shared):
                yield list(
                    self._parts(name, kind, [parents[each] for each in contexts], shared, parts)
                )
        except BaseException as error:
            for part in parts:
                failed(part, type(error).__name__)
            raise
        finally:
            for part in parts:
                part.end()

    def _parts(
        self,
        name: str,
        kind: Kind,
        parents: Sequence[SpanContext | None],
        shared: Span,
        begun: list[Span],
    ) -> Iterator[str]:
        """For each item the context of a span in its own trace, which is added to `begun`."""
        known: dict[str, str] = {}
        for parent in parents:
            if parent and not parent.trace_flags.sampled:
                yield written(parent)
                continue
            above = written(parent) if parent else None
            if above in known:
                yield known[above]
                continue
            part = self._tracer.start_span(name, below(parent), _KINDS[kind])
            begun.append(part)
            # Linked once it is decided whether it is sampled: by its own trace, not by the others'.
            part.add_link(shared.get_span_context())
            context = written(part.get_span_context())
            if above:
                known[above] = context
            yield context

    def exemplar(self, context: str | None) -> dict[str, str] | None:
        """See `Traces.exemplar`."""
        found = parsed(context) if context else get_current_span().get_span_context()
        if found is None or not (found.is_valid and found.trace_flags.sampled):
            return None
        return {"trace_id": f"{found.trace_id:032x}", "span_id": f"{found.span_id:016x}"}

    def statement(self, text: str, seconds: float, error: str | None) -> None:
        """A statement that has just been answered. Its text is our own: values are parameters."""
        if not get_current_span().is_recording():
            return
        ended = time_ns()
        words = " ".join(text.split())
        operation = words.partition(" ")[0].rstrip(";").upper()
        span = self._tracer.start_span(
            operation,
            kind=SpanKind.CLIENT,
            attributes={
                "db.system.name": "postgresql",
                "db.operation.name": operation,
                "db.query.text": words[:_STATEMENT_CHARACTERS],
            },
            start_time=ended - int(seconds * 1e9),
        )
        if error:
            failed(span, error)
        span.end(ended)

    def transport(self) -> httpx.AsyncBaseTransport:
        """See `Traces.transport`."""
        return TracedTransport(self._tracer)

    def requests(self, app: ASGIApp) -> ASGIApp:
        """See `Traces.requests`."""
        return TracedRequests(app, self._tracer)

    async def end(self) -> None:
        """Hand over what is left. A collector that does not answer is not waited for: the thread
        ends with the process."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, END_SECONDS)


class _SampledByLinks(Sampler):
    """A span with links is recorded if one of these traces is; else `others` decides."""

    def __init__(self, others: Sampler) -> None:
        self._others = others

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: AnyAttributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """The decision about a span that begins."""
        if any(each.context.trace_flags.sampled for each in links or ()):
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes, trace_state)
        return self._others.should_sample(
            parent_context, trace_id, name, kind, attributes, links, trace_state
        )

    def get_description(self) -> str:
        """What it is called."""
        return f"SampledByLinks({self._others.get_description()})"
