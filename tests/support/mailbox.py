"""A mail server that answers as a test tells it."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Mailbox:
    """Answers RCPT and DATA as told, and keeps what it took."""

    rcpt: str = "250 OK"
    data: str = "250 OK"
    taken: list[bytes] = field(default_factory=list)
    addressed: list[str] = field(default_factory=list)
    """Whom it was asked to take mail for."""
    on_data: Callable[[SMTP], Any] | None = None
    decide: Callable[[], str] | None = None
    """What to answer to each RCPT, instead of `rcpt`."""

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.addressed.append(address)
        answer = self.decide() if self.decide else self.rcpt
        if answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.data.startswith("2"):
            assert isinstance(envelope.content, bytes)
            self.taken.append(envelope.content)
        if self.on_data:
            await self.on_data(server)
        return self.data


@asynccontextmanager
async def listening(
    mailbox: Mailbox,
    port: int,
    tls: ssl.SSLContext | None = None,
    starttls: ssl.SSLContext | None = None,
) -> AsyncIterator[None]:
    """The server, as long as the block runs; with `tls` it speaks that from the first byte, with
    `starttls` it wants it after the greeting."""
    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=port,
        ssl_context=tls,
        tls_context=starttls,
        require_starttls=starttls is not None,
    )
    await asyncio.to_thread(controller.start)
    try:
        yield
    finally:
        await asyncio.to_thread(controller.stop)
