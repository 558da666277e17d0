"""Limits to a request that uvicorn's quick parser does not have: to its size beside the body, which
has limits of its own, and to the time that it may take to come."""

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from asyncio import Transport

HEAD_BYTES: Final = 64 * 1024
TRAILER_BYTES: Final = 64 * 1024
CHUNK_OVERHEAD: Final = 16
"""Bytes of a chunked body for each of its content: a chunk of one has six."""
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 20.0
"""For a body, and a second more for each `BODY_RATE` bytes of it that have come."""
BODY_RATE: Final = 128 * 1024
LOOK_SECONDS: Final = 5.0
"""How often a connection is looked at: nothing is done for each request."""

_REFUSAL: Final = (
    b"HTTP/1.1 %b\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b"
)
_HEAD_TOO_LARGE: Final = (
    b'{"type":"/problems/head-too-large","title":"The address and headers of this request are too'
    b' large","status":431,"limit_bytes":%d}' % HEAD_BYTES
)
_TOO_SLOW: Final = (
    b'{"type":"/problems/too-slow","title":"This request did not come in time","status":408}'
)


class LimitedRequests(HttpToolsProtocol):
    """Ends a connection whose request line and headers come to more than HEAD_BYTES, or what stands
    round the chunks of a body and behind it to more than TRAILER_BYTES; and one whose request does
    not come in time. Trailers are not kept: nothing reads them.

    Counted by what is received: a head that is complete with its first piece goes through.
    """

    def connection_made(self, transport: "Transport") -> None:  # type: ignore[override]
        """A head comes first."""
        self._await_head()
        self._awaited_since: float | None = self.loop.time()
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_time)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._look.cancel()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._in_head = True
        self._received = 0
        self._body = 0

    def data_received(self, data: bytes) -> None:
        """Read on, or refuse."""
        self._received += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            if self._received > HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large", _HEAD_TOO_LARGE)
        elif self._received > HEAD_BYTES + TRAILER_BYTES + self._body * CHUNK_OVERHEAD:
            self.transport.close()

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        self._awaited_since = self.loop.time()
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head; a trailer is let go."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """What follows is the body."""
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of it."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The next request's head follows, at any time."""
        self._await_head()
        self._awaited_since = None
        super().on_message_complete()

    def _look_at_time(self) -> None:
        self._look = self.loop.call_later(LOOK_SECONDS, self._look_at_time)
        if self._awaited_since is None or self.transport.is_closing():
            return
        allowed = HEAD_SECONDS if self._in_head else BODY_SECONDS + self._body / BODY_RATE
        if self.loop.time() - self._awaited_since > allowed:
            self._refuse(b"408 Request Timeout", _TOO_SLOW)

    def _refuse(self, status: bytes, problem: bytes) -> None:
        """Say why, unless an answer has begun already, and end the connection."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_REFUSAL % (status, len(problem), problem))
        self.transport.close()
