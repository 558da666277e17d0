"""What a check has found."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """How much a finding matters."""

    FINE = "fine"
    UNKNOWN = "unknown"
    """It could not be looked at."""
    WARNING = "warning"
    """It works, but somebody should put it right."""
    WRONG = "wrong"
    """Something does not work, or may be lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """`code` names what was found for programs; it is empty where all is well."""

    check: str
    subject: str
    level: Level
    code: str
    found: str
    means: str = ""
    way_out: str = ""


class Findings:
    """What one check finds, in the order in which it is said."""

    def __init__(self, check: str) -> None:
        self._check = check
        self.all: list[Finding] = []

    def fine(self, subject: str, found: str) -> None:
        """That is as it has to be."""
        self.all.append(Finding(self._check, subject, Level.FINE, "", found))

    def unknown(self, code: str, subject: str, found: str, way_out: str) -> None:
        """That could not be looked at."""
        self.all.append(Finding(self._check, subject, Level.UNKNOWN, code, found, "", way_out))

    def warn(self, code: str, subject: str, found: str, means: str, way_out: str) -> None:
        """That should be put right."""
        self._add(Level.WARNING, code, subject, found, means, way_out)

    def wrong(self, code: str, subject: str, found: str, means: str, way_out: str) -> None:
        """That does not work, or may lose something."""
        self._add(Level.WRONG, code, subject, found, means, way_out)

    def _add(self, level: Level, *said: str) -> None:
        code, subject, found, means, way_out = said
        self.all.append(Finding(self._check, subject, level, code, found, means, way_out))


def document(findings: Iterable[Finding]) -> dict[str, Any]:
    """For `--json`."""
    found = list(findings)
    return {
        "ok": not any(each.level is Level.WRONG for each in found),
        "counts": {level.value: sum(each.level is level for each in found) for level in Level},
        "findings": [asdict(each) for each in found],
    }
