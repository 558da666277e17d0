"""One readable file a message, standing in for SMS and WeCom."""

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

import structlog

from lastmetre.notify.domain.messages import recipient_kind
from lastmetre.notify.sending.letters import SENT, Letter, Outcome

log = structlog.get_logger()

_UNSAFE: Final = re.compile(r"[^0-9A-Za-z-]+")


class FolderProvider:
    """Writes letters below `directory`, a folder for each of the city's days.

    A letter's name follows from its identity, so a repetition replaces the file by the same text.
    """

    name: ClassVar[str] = "folder"
    repeatable: ClassVar[bool] = True
    at_once: ClassVar[int] = 1000
    together: ClassVar[int] = 250

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def send(self, letters: Sequence[Letter]) -> list[Outcome]:
        """Write the files in a thread: a slow disk must not hold up the event loop."""
        return await asyncio.to_thread(self._write_all, letters)

    def _write_all(self, letters: Sequence[Letter]) -> list[Outcome]:
        return [self._write(letter) for letter in letters]

    def _write(self, letter: Letter) -> Outcome:
        folder = self._directory / letter.day.isoformat()
        name = file_name(letter)
        unfinished = folder / f".{name}.part"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished.write_text(file_text(letter), encoding="utf-8")
            unfinished.replace(folder / name)
        except OSError as error:
            log.warning("outbox folder cannot be written", error=error.strerror)
            return Outcome(None, f"folder_{error.errno}")
        return SENT

    async def close(self) -> None:
        """Nothing to let go of."""


def file_name(letter: Letter) -> str:
    """Sorts by case and event; unique by the message's id."""
    number = _UNSAFE.sub("_", letter.number)[:40]
    to = recipient_kind(letter.recipient)
    return f"{number}-{letter.seq:02}-{to}-{letter.kind}-{letter.message_id}.txt"


def file_text(letter: Letter) -> str:
    """Header lines, an empty line, the text."""
    return (
        f"To: {letter.address}\n"
        f"Case: {letter.number}\n"
        f"Case-Id: {letter.case_id}\n"
        f"Message-Id: {letter.message_id}\n"
        f"Recipient: {recipient_kind(letter.recipient)}\n"
        f"Kind: {letter.kind}\n"
        f"Language: {letter.language}\n"
        f"Subject: {letter.subject}\n"
        f"\n{letter.body}\n"
    )
