"""Requests in and out as spans: method, route and status, never a path, a query or an address."""

from typing import Final

import httpx
from opentelemetry.trace import SpanKind, Tracer, use_span
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastmetre.common.telemetry.spans import below, failed, parsed, running, written
from lastmetre.common.telemetry.timing import method_of, route_of

_HEADER: Final = "traceparent"
_RAW_HEADER: Final = _HEADER.encode()
_NOT_TRACED: Final = frozenset({"/livez", "/readyz", "/metrics"})


class TracedRequests:
    """Each request to `app` is a span, from its arrival to the beginning of its answer.

    The application finds the span's context in the header `traceparent`, as if the caller had sent
    it. What asks for health and figures is no span: it comes every few seconds.
    """

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _NOT_TRACED:
            await self._app(scope, receive, send)
            return
        sent = [value for name, value in scope["headers"] if name == _RAW_HEADER]
        method = method_of(scope)
        span = self._tracer.start_span(
            method,
            below(parsed(sent[0].decode("latin-1") if sent else None)),
            SpanKind.SERVER,
            {"http.request.method": method, "url.scheme": scope["scheme"]},
        )
        others = [each for each in scope["headers"] if each[0] != _RAW_HEADER]
        context = written(span.get_span_context()).encode()
        inside: Scope = {**scope, "headers": [*others, (_RAW_HEADER, context)]}

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                answered(message["status"])
            await send(message)

        def answered(status: int) -> None:
            route = route_of(inside)
            span.update_name(f"{method} {route}")
            span.set_attributes({"http.route": route, "http.response.status_code": status})
            if status >= 500:
                failed(span, str(status))
            span.end()

        with use_span(span, record_exception=False, set_status_on_exception=False):
            try:
                await self._app(inside, receive, observed)
            except Exception:
                if span.is_recording():
                    answered(500)
                raise
            finally:
                if span.is_recording():
                    span.end()


class TracedTransport(httpx.AsyncBaseTransport):
    """Each request is a span below the one that runs, and carries its context."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._inner = httpx.AsyncHTTPTransport(trust_env=False)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, as httpx' own transport gives it, and raising what that raises."""
        span = self._tracer.start_span(
            request.method,
            kind=SpanKind.CLIENT,
            attributes={
                "http.request.method": request.method,
                "server.address": request.url.host,
                "server.port": request.url.port or (443 if request.url.scheme == "https" else 80),
            },
        )
        with running(span):
            request.headers[_HEADER] = written(span.get_span_context())
            response = await self._inner.handle_async_request(request)
            span.set_attribute("http.response.status_code", response.status_code)
            if response.is_error:
                failed(span, str(response.status_code))
            return response

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._inner.aclose()
