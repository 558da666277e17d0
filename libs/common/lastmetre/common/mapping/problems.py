"""What is wrong with a mapping file, for the person who wrote it."""

from collections.abc import Sequence
from typing import Final

SHOWN: Final = 20


class MappingError(ValueError):
    """A mapping that cannot be used, with everything that is wrong, and the way out."""

    def __init__(self, where: str, problems: Sequence[str], way_out: str = "") -> None:
        self.problems = list(problems)
        self.way_out = way_out or "docs/channels.md has an example of each kind."
        count = len(self.problems)
        told = (
            f" {self.problems[0]}"
            if count == 1
            else f" {count} mistakes:" + "".join(f"\n  {each}" for each in self.problems[:SHOWN])
        )
        super().__init__(f"the mapping {where}:{told}")
