"""What the stack says when it cannot go on."""

from pathlib import Path

from lastmetre.cli.console import Trouble

TAIL_LINES = 15


class StackError(Trouble):
    """Something that the stack needs cannot be had or died.

    `way_out` tells a person what to do; `log`, if given, is a file whose end shows why.
    """

    def __init__(self, problem: str, way_out: str = "", log: Path | None = None) -> None:
        self.log = log
        self.tail = tail(log) if log else ""
        end = f"The end of {log}:\n{self.tail or '(empty)'}" if log else ""
        super().__init__(problem, way_out, end)

    def __str__(self) -> str:
        parts = [self.problem, self.details, self.way_out and f"Way out: {self.way_out}"]
        return "\n".join(filter(None, parts))


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a file that may be large, or may not be there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
