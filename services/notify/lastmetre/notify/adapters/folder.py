"""One readable file a message, standing in for SMS and WeCom."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import structlog

from lastmetre.notify.domain.messages import recipient_kind
from lastmetre.notify.domain.provider import SENT, OutboundMessage, Outcome

log = structlog.get_logger()

_UNSAFE: Final = re.compile(r"[^0-9A-Za-z-]+")


class FolderProvider:
    """Writes messages below `directory`, a folder for each of the city's days.

    A message's name follows from its identity, so a repetition replaces the file by the same text.
    """

    name: ClassVar[str] = "folder"
    repeatable: ClassVar[bool] = True
    max_in_flight: ClassVar[int] = 1000
    batch_size: ClassVar[int] = 250

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        """Write the files in a thread: a slow disk must not hold up the event loop."""
        return await asyncio.to_thread(self._write_all, messages)

    def _write_all(self, messages: Sequence[OutboundMessage]) -> list[Outcome]:
        return [self._write(message) for message in messages]

    def _write(self, message: OutboundMessage) -> Outcome:
        folder = self._directory / message.day.isoformat()
        name = file_name(message)
        unfinished = folder / f".{name}.part"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_text(file_text(message), encoding="utf-8")
            unfinished.replace(folder / name)
        except OSError as error:
            log.warning("outbox folder cannot be written", error=error.strerror)
            return Outcome(None, f"folder_{error.errno}")
        return SENT

    async def close(self) -> None:
        """Nothing to let go of."""


def file_name(message: OutboundMessage) -> str:
    """Sorts by case and event; unique by the message's id."""
    number = _UNSAFE.sub("_", message.number)[:40]
    to = recipient_kind(message.recipient)
    return f"{number}-{message.seq:02}-{to}-{message.kind}-{message.message_id}.txt"


def file_text(message: OutboundMessage) -> str:
    """Header lines, an empty line, the text."""
    return (
        f"To: {message.address}\n"
        f"Case: {message.number}\n"
        f"Case-Id: {message.case_id}\n"
        f"Message-Id: {message.message_id}\n"
        f"Recipient: {recipient_kind(message.recipient)}\n"
        f"Kind: {message.kind}\n"
        f"Language: {message.language}\n"
        f"Subject: {message.subject}\n"
        f"\n{message.body}\n"
    )
