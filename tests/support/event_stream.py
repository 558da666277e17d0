"""Server-sent events as a client reads them."""

from collections.abc import AsyncGenerator

import httpx


async def events_of(stream: httpx.Response) -> AsyncGenerator[tuple[str, str]]:
    """The events of one stream, name and data, each of one line."""
    name = ""
    async for line in stream.raise_for_status().aiter_lines():
        field, _, value = line.partition(":")
        if field == "event":
            name = value.strip()
        elif field == "data":
            yield name, value.strip()
