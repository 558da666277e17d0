"""What the stack says when it cannot go on."""

from pathlib import Path

TAIL_LINES = 15


class StackError(Exception):
    """Something that the stack needs cannot be had or died.

    `way_out` tells a person what to do; `log`, if given, is a file whose end shows why.
    """

    def __init__(self, problem: str, way_out: str = "", log: Path | None = None) -> None:
        self.problem = problem
        self.way_out = way_out
        self.log = log
        self.tail = tail(log) if log else ""
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [self.problem]
        if self.log:
            parts.append(f"The end of {self.log}:\n{self.tail or '(empty)'}")
        if self.way_out:
            parts.append(f"Way out: {self.way_out}")
        return "\n".join(parts)


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a file that may be large, or may not be there."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
