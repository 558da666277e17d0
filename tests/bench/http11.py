"""A client for HTTP/1.1 that costs next to nothing: kept connections, requests as bytes."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast
from urllib.parse import urlsplit

Answered = Callable[[str, bytes], None]
"""Called with the status and the body; the status is `lost` where the connection broke."""

LOST: Final = "lost"


class Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self, free: Callable[["Connection"], None]) -> None:
        self._free = free
        self._received = bytearray()
        self._answered: Answered | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready for a request."""
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes, answered: Answered) -> None:
        """Send a request."""
        assert self._transport is not None
        self._answered = answered
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take a piece of the answer."""
        self._received += data
        head = self._received.find(b"\r\n\r\n")
        if head < 0:
            return
        marker = self._received.lower().index(b"\r\ncontent-length:", 0, head + 2)
        length = int(self._received[marker + 17 : self._received.index(b"\r\n", marker + 17)])
        end = head + 4 + length
        if len(self._received) >= end:
            status, body = self._received[9:12].decode(), bytes(self._received[head + 4 : end])
            del self._received[:end]
            self._end(status, body)
            self._free(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The other side is gone: not to be used again."""
        self._end(LOST, b"")

    def _end(self, status: str, body: bytes) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(status, body)

    def close(self) -> None:
        """Hang up."""
        if self._transport:
            self._transport.close()


class Client:
    """Several connections to one server; requests beyond their number wait for a free one."""

    def __init__(self, url: str, path: str, headers: dict[str, str]) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "", address.port or 80
        fixed = {"Host": address.netloc, "Content-Type": "application/json", **headers}
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fixed.items())]
        self._head = "\r\n".join(lines).encode()
        self._all: list[Connection] = []
        self._idle: deque[Connection] = deque()
        self._waiting: deque[tuple[bytes, Answered]] = deque()

    async def connect(self, connections: int) -> None:
        """Open that many connections."""
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            _, connection = await loop.create_connection(
                lambda: Connection(self._on_free), self._host, self._port
            )
            self._all.append(connection)
            self._idle.append(connection)

    def request(self, body: bytes, traceparent: str = "") -> bytes:
        """A whole request with this body."""
        trace = f"\r\ntraceparent: {traceparent}".encode() if traceparent else b""
        return b"%b%b\r\nContent-Length: %d\r\n\r\n%b" % (self._head, trace, len(body), body)

    def ask(self, request: bytes, answered: Answered) -> None:
        """Send a request as soon as a connection is free."""
        if self._idle:
            self._idle.popleft().ask(request, answered)
        else:
            self._waiting.append((request, answered))

    def _on_free(self, connection: Connection) -> None:
        if self._waiting:
            connection.ask(*self._waiting.popleft())
        else:
            self._idle.append(connection)

    def close(self) -> None:
        """Hang up."""
        for connection in self._all:
            connection.close()
