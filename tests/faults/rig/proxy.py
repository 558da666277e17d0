"""TCP proxies of the tests, in a thread of their own: slow, silent, cut or refusing on demand."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from lastmetre.devstack.errors import StackError

HOST: Final = "127.0.0.1"
CHUNK: Final = 65_536
PORTS: Final = range(18_000, 20_000)
"""Below those of the stacks, and below those that the kernel gives to outgoing connections."""

Opened = TypeVar("Opened")


@dataclass
class Fault:
    """What a proxy does to its connections. `delay` seconds each way; `silent`: takes bytes and
    hands nothing on; `refuses`: new connections end at once; `cut_after`: each connection ends
    after so many bytes of the client's."""

    delay: float = 0.0
    silent: bool = False
    refuses: bool = False
    cut_after: int | None = None


class Proxy:
    """One listener before one server."""

    def __init__(self, port: int, target: int, loop: asyncio.AbstractEventLoop) -> None:
        self.port = port
        self.fault = Fault()
        self._target = target
        self._loop = loop
        self._connections: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def set(self, fault: Fault, *, cut: bool = False) -> None:
        """From now on. With `cut` the connections there are end now."""
        asyncio.run_coroutine_threadsafe(self._set(fault, cut), self._loop).result()

    async def _set(self, fault: Fault, cut: bool) -> None:
        self.fault = fault
        self._changed.set()
        self._changed = asyncio.Event()
        if cut:
            for each in set(self._connections):
                each.cancel()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            if not self.fault.refuses:
                await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward, out = await asyncio.open_connection(HOST, self._target)
        both = [
            asyncio.create_task(self._pump(reader, out, from_client=True)),
            asyncio.create_task(self._pump(onward, writer, from_client=False)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in both:
                each.cancel()
            out.transport.abort()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool
    ) -> None:
        carried = 0
        while data := await reader.read(CHUNK):
            if self.fault.delay:
                await asyncio.sleep(self.fault.delay)
            while self.fault.silent:
                await self._changed.wait()
            limit = self.fault.cut_after if from_client else None
            if limit is not None:
                data = data[: max(0, limit - carried)]
                carried += len(data)
            writer.write(data)
            await writer.drain()
            if limit is not None and carried >= limit:
                return


class Proxies:
    """All of a rig's, in one thread with an event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._servers: list[asyncio.Server] = []

    def start(self) -> None:
        """Begin the thread."""
        self._thread.start()

    def open(self, target: int) -> Proxy:
        """A listener on a free port before a server's port."""
        return self._call(self._open(target))

    async def _open(self, target: int) -> Proxy:
        for port in PORTS:
            proxy = Proxy(port, target, self._loop)
            with contextlib.suppress(OSError), contextlib.ExitStack() as undo:
                listener = socket.socket()
                undo.callback(listener.close)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind((HOST, port))
                self._servers.append(await asyncio.start_server(proxy.serve, sock=listener))
                undo.pop_all()
                return proxy
        raise StackError("no free port for a proxy")

    def _call(self, what: Coroutine[Any, Any, Opened]) -> Opened:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    def stop(self) -> None:
        """Close everything and end the thread. Never fails."""
        if not self._thread.is_alive():
            return
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
