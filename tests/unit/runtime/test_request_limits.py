"""What a request may cost before and behind its body, and how long it may take to come."""

import asyncio
import tracemalloc
from collections.abc import Coroutine
from typing import Any, cast

import pytest
import uvicorn
from tests.support.virtual_time import in_virtual_time
from uvicorn.server import ServerState

from lastmetre.common.service.request_limits import LimitedRequests


class Connection(asyncio.Transport):
    """The client's side of one connection, in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closed_at: float | None = None
        self.bodies: list[bytes] = []
        config = uvicorn.Config(
            self._app, interface="asgi3", lifespan="off", log_config=None, timeout_keep_alive=75
        )
        self._protocol = LimitedRequests(config, ServerState(), {})
        self._protocol.connection_made(self)

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body, more = body + message["body"], message["more_body"]
        self.bodies.append(body)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def receive(self, data: bytes) -> None:
        """What the client sends, as it comes off the socket."""
        self._protocol.data_received(data)

    @property
    def status(self) -> int:
        """Of the last answer."""
        return int(self.sent.split(b"HTTP/1.1 ")[-1][:3])

    def write(self, data: Any) -> None:
        self.sent += bytes(data)

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closed_at is not None

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


CHUNKED = b"POST /report HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
HEAD = b"POST /report HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n"


def run(trial: Coroutine[Any, Any, None]) -> None:
    in_virtual_time(trial)


@pytest.mark.parametrize(
    "piece",
    [b"x-more: " + b"y" * 1000 + b"\r\n", b"y" * 1000],
    ids=["trailers", "one that does not end"],
)
def test_trailers_take_no_memory(piece: bytes) -> None:
    async def trial() -> None:
        connection = Connection()
        connection.receive(CHUNKED + b"0\r\nx-first: ")
        tracemalloc.start()
        sent = 0
        while not connection.is_closing() and sent < 16 * 1024 * 1024:
            connection.receive(piece)
            sent += len(piece)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert sent <= 200_000
        assert held <= 1_000_000
        await asyncio.sleep(0)

    run(trial())


def test_a_few_trailers_and_many_small_chunks_are_read() -> None:
    async def trial() -> None:
        connection = Connection()
        connection.receive(CHUNKED)
        for _ in range(200_000):
            connection.receive(b"1\r\na\r\n")
        connection.receive(b"0\r\nx-sum: 1\r\n\r\n")
        await asyncio.sleep(0)
        assert connection.bodies == [b"a" * 200_000]
        assert connection.status == 204
        connection.close()
        await asyncio.sleep(0)

    run(trial())


def test_extensions_of_chunks_are_counted() -> None:
    async def trial() -> None:
        connection = Connection()
        connection.receive(CHUNKED + b"1;")
        for _ in range(1000):
            connection.receive(b"x" * 1000)
        assert connection.is_closing()
        await asyncio.sleep(0)

    run(trial())


@pytest.mark.parametrize(
    ("begun", "within"),
    [
        (b"", 15.0),
        (b"POST /report HTTP/1.1\r\nhost: x\r\n", 15.0),
        (HEAD, 25.0),
        (HEAD + b"{", 25.0),
        (CHUNKED + b"0\r\nx: ", 25.0),
    ],
    ids=["nothing", "half a head", "no body", "half a body", "half a trailer"],
)
def test_what_does_not_come_is_not_waited_for(begun: bytes, within: float) -> None:
    async def trial() -> None:
        connection = Connection()
        if begun:
            connection.receive(begun)
        await asyncio.sleep(100)
        assert connection.closed_at is not None
        assert connection.closed_at <= within
        assert connection.status == 408
        assert b"/problems/too-slow" in connection.sent

    run(trial())


def test_a_byte_now_and_then_does_not_keep_it_open() -> None:
    async def trial() -> None:
        connection = Connection()
        connection.receive(HEAD)
        for _ in range(200):
            await asyncio.sleep(1)
            if connection.is_closing():
                break
            connection.receive(b"x")
        assert cast("float", connection.closed_at) <= 25.0

    run(trial())


def test_a_large_body_over_a_slow_line_comes_in() -> None:
    """Eight megabytes at 160 KiB a second."""

    async def trial() -> None:
        connection = Connection()
        size = 8 * 1024 * 1024
        connection.receive(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
        for sent in range(0, size, 160 * 1024):
            await asyncio.sleep(1)
            connection.receive(b"x" * min(160 * 1024, size - sent))
        await asyncio.sleep(0)
        assert connection.status == 204
        connection.close()
        await asyncio.sleep(0)

    run(trial())


def test_an_idle_connection_may_ask_again() -> None:
    async def trial() -> None:
        connection = Connection()
        ask = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
        connection.receive(ask)
        await asyncio.sleep(60)
        connection.receive(ask)
        await asyncio.sleep(0)
        assert connection.bodies == [b"", b""]
        assert not connection.is_closing()
        connection.close()
        await asyncio.sleep(0)

    run(trial())
