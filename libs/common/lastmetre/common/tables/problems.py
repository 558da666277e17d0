"""What is wrong with a table, for the person who handed it in."""

from collections.abc import Sequence
from typing import Final

SHOWN: Final = 50


class TableError(ValueError):
    """A table that cannot be taken, with everything that is wrong, and the way out."""

    def __init__(self, where: str, problems: Sequence[str], way_out: str = "") -> None:
        self.problems = list(problems)
        self.way_out = way_out
        shown = [*self.problems[:SHOWN]]
        if len(self.problems) > SHOWN:
            shown.append(f"and {len(self.problems) - SHOWN} more")
        if len(shown) == 1:
            super().__init__(f"{where}: {shown[0]}")
        else:
            super().__init__(f"{where}: {len(self.problems)} mistakes:\n  " + "\n  ".join(shown))


class Unreadable(TableError):
    """The file is not what its name or its settings say: another encoding, another format."""
