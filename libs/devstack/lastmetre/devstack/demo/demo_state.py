"""What has been played in a stack's home: so that a second `make demo` adds nothing twice."""

from datetime import date
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, BaseModel, ValidationError

from lastmetre.devstack.home import Home, write_private


class DemoState(BaseModel):
    """The last day that was played. `played_until`: how far it came, in city time."""

    day: date
    played_until: AwareDatetime | None = None
    finished: bool = False

    @classmethod
    def read(cls, home: Home) -> Self | None:
        """That of the stack in `home`; None if no day was ever played there."""
        try:
            return cls.model_validate_json(_file(home).read_text("utf-8"))
        except (FileNotFoundError, ValidationError):
            return None

    def write(self, home: Home) -> None:
        """Keep it."""
        write_private(_file(home), self.model_dump_json(indent=2) + "\n")


def _file(home: Home) -> Path:
    return home.root / "demo.json"
