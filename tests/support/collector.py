"""A collector: takes spans by OTLP over HTTP in protobuf, as services send them, and keeps them."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

_PATH: Final = "/v1/traces"


@dataclass(frozen=True)
class Seen:
    """A span as it was exported. Ids are in hexadecimal digits."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    links: frozenset[str]
    """The ids of the spans that it is linked with."""
    failed: bool

    @property
    def title(self) -> str:
        """Who did what."""
        return f"{self.service}: {self.name}"


class Collector:
    """What it has been sent. While `answers` is not set, it leaves requests without an answer."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.asked = threading.Event()
        self.bodies: list[bytes] = []
        self.address = ""

    def spans(self) -> list[Seen]:
        """All that it has, in the order in which they came."""
        found: list[Seen] = []
        for body in list(self.bodies):
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                said = {each.key: each.value.string_value for each in resource.resource.attributes}
                for scope in resource.scope_spans:
                    found += [_seen(said["service.name"], span) for span in scope.spans]
        return found

    def trace(self, trace_id: str) -> list[Seen]:
        """The spans of one trace."""
        return [each for each in self.spans() if each.trace_id == trace_id]


def _seen(service: str, span: Span) -> Seen:
    return Seen(
        service,
        span.name,
        Span.SpanKind.Name(span.kind),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        frozenset(each.span_id.hex() for each in span.links),
        span.status.code == Status.STATUS_CODE_ERROR,
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector, as long as the block runs."""
    collector = Collector()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.asked.set()
            collector.answers.wait()
            right = self.path == _PATH and self.headers["Content-Type"] == "application/x-protobuf"
            self.send_response(200 if right else 400)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()
            self.wfile.write(ExportTraceServiceResponse().SerializeToString())
            if right:
                collector.bodies.append(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        collector.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()
