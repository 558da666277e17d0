"""HTTP spoken by hand, for what no client would send."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

WAIT_SECONDS: Final = 20.0


@dataclass(frozen=True)
class Answer:
    """Status and headers of a response."""

    status: int
    headers: Mapping[str, str]

    @classmethod
    async def to(cls, base: str, sent: bytes, *, leave: bool = False) -> Self | None:
        """What the server there says to these bytes; None if it only ends the connection.

        With `leave` we end our side at once, and wait for the server to end its own.
        """
        address = urlsplit(base)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        said = b""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(sent)
            await writer.drain()
            if leave:
                writer.write_eof()
            async with asyncio.timeout(WAIT_SECONDS):
                said = await (reader.read() if leave else reader.readuntil(b"\r\n\r\n"))
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        if not said:
            return None
        first, *lines = said.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
        headers = (line.split(": ", 1) for line in lines)
        return cls(int(first.split()[1]), {name.lower(): value for name, value in headers})


async def spoken(base: str, method: str, path: str, headers: Mapping[bytes, bytes]) -> Answer:
    """The answer to a request whose path is sent as it is."""
    lines = [f"{method} {path} HTTP/1.1".encode(), *(b"%b: %b" % pair for pair in headers.items())]
    if b"Host" not in headers:
        lines.append(b"Host: localhost")
    answer = await Answer.to(base, b"\r\n".join([*lines, b"", b""]))
    assert answer is not None, path
    return answer
