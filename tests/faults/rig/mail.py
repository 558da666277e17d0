"""A mail server that counts: which message came how often."""

from collections import Counter
from email import message_from_bytes
from typing import Any, Final

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

HOST: Final = "127.0.0.1"


class MailServer:
    """Takes every message, in a thread of its own, and keeps its id only."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.came: Counter[str] = Counter()
        self._controller = Controller(_Taking(self.came), hostname=HOST, port=port)

    def start(self) -> None:
        """Listen."""
        self._controller.start()

    def stop(self) -> None:
        """Stop listening."""
        self._controller.stop()


class _Taking:
    def __init__(self, came: Counter[str]) -> None:
        self._came = came

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content: Any = envelope.content
        self._came[message_from_bytes(content)["Message-ID"].strip("<>").partition("@")[0]] += 1
        return "250 taken"
