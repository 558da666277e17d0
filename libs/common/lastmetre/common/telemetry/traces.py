"""Spans of what a process does, where it exports them; elsewhere nothing is made and nothing costs.

OpenTelemetry is imported by `otlp` alone, and that only where an endpoint is set. The context of a
trace goes from hand to hand as a string, W3C's `traceparent`, whether spans are exported or not.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    import httpx
    from starlette.types import ASGIApp

Kind = Literal["client", "consumer", "internal", "producer"]
Attributes = Mapping[str, str | int]
"""Codes, counts and names of our own: nothing that a person has written, and nobody's address."""

KAFKA_SEND: Final = {"messaging.system": "kafka", "messaging.operation.type": "send"}
KAFKA_PROCESS: Final = {"messaging.system": "kafka", "messaging.operation.type": "process"}


class Tracer(Protocol):
    """Makes spans. None of it raises or waits, whatever becomes of the spans."""

    def current(self) -> str | None:
        """The context of the span that runs; None outside of any."""

    def span(
        self, name: str, kind: Kind, attributes: Attributes, /
    ) -> AbstractContextManager[object]:
        """A span around the block, below the one that runs."""

    def batch(
        self, name: str, kind: Kind, contexts: Sequence[str | None], attributes: Attributes, /
    ) -> AbstractContextManager[Sequence[str]]:
        """See `Traces.batch`."""

    def exemplar(self, context: str | None, /) -> dict[str, str] | None:
        """See `Traces.exemplar`."""

    def statement(self, text: str, seconds: float, error: str | None, /) -> None:
        """A statement that has just been answered, below the span that runs; else nothing."""

    def transport(self) -> "httpx.AsyncBaseTransport":
        """See `Traces.transport`."""

    def requests(self, app: "ASGIApp", /) -> "ASGIApp":
        """See `Traces.requests`."""

    async def end(self) -> None:
        """Hand over what is left, for a second at most."""


class Traces:
    """What this process makes spans with: nothing, until `begin`."""

    def __init__(self) -> None:
        self._tracer: Tracer | None = None

    @property
    def on(self) -> bool:
        """Whether spans are exported."""
        return self._tracer is not None

    def begin(self, tracer: Tracer) -> None:
        """Make spans with `tracer` from now on."""
        self._tracer = tracer

    async def end(self) -> None:
        """Make no more spans, and hand over what is left."""
        tracer, self._tracer = self._tracer, None
        if tracer:
            await tracer.end()

    def current(self) -> str | None:
        """The context of the span that runs; None outside of any."""
        return self._tracer.current() if self._tracer else None

    def span(
        self, name: str, kind: Kind, attributes: Attributes | None = None
    ) -> AbstractContextManager[object]:
        """A span around the block, below the one that runs."""
        return self._tracer.span(name, kind, attributes or {}) if self._tracer else nullcontext()

    def batch(
        self,
        name: str,
        kind: Kind,
        contexts: Iterable[str | None],
        attributes: Attributes | None = None,
    ) -> AbstractContextManager[Sequence[str]]:
        """A span around what is done for several items together, each of which has its context.

        Where all have the same one, the span is below it. Else it begins a trace of its own, with
        links to theirs; in each of theirs is another span, linked with it. The block is given, for
        each item, the context that what follows from it belongs to; nothing where no spans are
        made. A context that is None, or none by W3C's rules, begins a trace.
        """
        if self._tracer is None:
            return nullcontext(())
        return self._tracer.batch(name, kind, list(contexts), attributes or {})

    def exemplar(self, context: str | None = None) -> dict[str, str] | None:
        """What an observation names as its example: that trace, or the span that runs; None where
        it is not exported."""
        return self._tracer.exemplar(context) if self._tracer else None

    def statement(self, text: str, seconds: float, error: str | None) -> None:
        """A statement that has just been answered, below the span that runs; else nothing."""
        if self._tracer:
            self._tracer.statement(text, seconds, error)

    def transport(self) -> "httpx.AsyncBaseTransport | None":
        """For a client: each call is a span, whose context it carries. None: httpx' own."""
        return self._tracer.transport() if self._tracer else None

    def requests(self, app: "ASGIApp") -> "ASGIApp":
        """Each request to `app` is a span, whose context is the request's `traceparent` in it."""
        return self._tracer.requests(app) if self._tracer else app


TRACES = Traces()
"""Of this process."""
