"""A program in a terminal of its own, and that terminal's screen as a page to take a picture of."""

import codecs
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

COLUMNS: Final = 96
ROWS: Final = 60
_UNFINISHED = re.compile(r"\x1b(\[[\d;?]*)?$")
_MOVES = re.compile(r"(\r|\n|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[lh])")
_THEME = TerminalTheme(
    (16, 36, 43),
    (226, 236, 238),
    [(16, 36, 43), (255, 159, 150), (128, 216, 164), (255, 196, 107),
     (161, 195, 255), (209, 177, 248), (95, 198, 211), (226, 236, 238)],
    [(128, 149, 157), (255, 159, 150), (128, 216, 164), (255, 196, 107),
     (161, 195, 255), (209, 177, 248), (95, 198, 211), (255, 255, 255)],
)  # fmt: skip
_PAGE = """<!doctype html><meta charset="utf-8"><style>
body {{ margin: 0; background: #10242b; }}
pre {{ margin: 0; padding: 20px 24px; display: inline-block; color: #e2ecee;
  font: 14px/1.16 "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace; }}
i {{ font-style: normal; display: inline-block; width: 2ch; text-align: center; }}
</style><pre>{code}</pre>"""
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


class Screen:
    """The lines of a terminal: as much of one as rich's tables and progress bars need."""

    def __init__(self) -> None:
        self.lines = [""]
        self._row = 0
        self._held = ""

    def write(self, text: str) -> None:
        """What the program printed next; a control sequence may be cut in two."""
        text = self._held + text
        unfinished = _UNFINISHED.search(text)
        self._held = unfinished.group() if unfinished else ""
        for part in _MOVES.split(text.removesuffix(self._held)):
            if part == "\n":
                self._row += 1
                if self._row == len(self.lines):
                    self.lines.append("")
            elif part == "\x1b[2K":
                self.lines[self._row] = ""
            elif part.startswith("\x1b[") and part.endswith("A"):
                self._row = max(self._row - int(part[2:-1] or 1), 0)
            elif part != "\r" and not part.startswith("\x1b[?25"):
                self.lines[self._row] += part

    def html(self) -> str:
        """A page that shows the lines in their colours."""
        console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
        console.print(Text.from_ansi("\n".join(self.lines).rstrip()), soft_wrap=True)
        page = console.export_html(theme=_THEME, code_format=_PAGE, inline_styles=True)
        # In a terminal a Chinese character is as wide as two letters.
        return _CHINESE.sub(r"<i>\g<0></i>", page)


class Terminal:
    """Runs a command in a pseudo-terminal; leaving the block interrupts it as Ctrl-C does."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.screen = Screen()
        self._command = command
        self._environment = {**environment, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
        # A character of several bytes may come in two parts.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def __enter__(self) -> Self:
        self._side, other = pty.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        os.close(other)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGINT)
        while self._read() is not None:
            pass
        self._process.wait()
        os.close(self._side)

    def _read(self) -> str | None:
        """What it printed next, None at the end."""
        try:
            return self._decoder.decode(os.read(self._side, 65536))
        except OSError:  # Linux' way to say that the program has closed its side
            return None

    def until(self, words: str) -> None:
        """Read on until the program has said that. Raises RuntimeError if it ends before."""
        while not any(words in line for line in self.screen.lines):
            text = self._read()
            if text is None:
                raise RuntimeError("it ended early:\n" + "\n".join(self.screen.lines[-20:]))
            self.screen.write(text)
