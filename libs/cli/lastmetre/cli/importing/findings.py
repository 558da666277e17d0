"""What a person should look at after an import or a replay: lines, ids, reasons."""

import csv
from pathlib import Path
from typing import Final, TextIO

from lastmetre.cli.endpoints import default_home
from lastmetre.common.tables.writing import as_text

COLUMNS: Final = ("line", "source_id", "what", "reason")
SHOWN: Final = 3


class Findings:
    """Rows that were refused, and rows that were taken although something about them is doubtful.

    They go to a CSV file, which is not made as long as there is nothing to write.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refused = 0
        self.noted = 0
        self.examples: list[str] = []
        """The first few in words."""
        self._file: TextIO | None = None
        path.unlink(missing_ok=True)

    def refuse(self, line: int, source_id: str, reason: str) -> None:
        """This row came to nothing."""
        self.refused += 1
        self._write(line, source_id, "refused", reason)

    def note(self, line: int, source_id: str, reason: str) -> None:
        """This row was taken; a person should know how."""
        self.noted += 1
        self._write(line, source_id, "taken", reason)

    def _write(self, line: int, source_id: str, what: str, reason: str) -> None:
        if len(self.examples) < SHOWN:
            self.examples.append(f"line {line}, {source_id or '(no id)'}: {what}, {reason}")
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8", newline="", errors="replace")
            csv.writer(self._file).writerow(COLUMNS)
        csv.writer(self._file).writerow(map(as_text, (line, source_id, what, reason)))

    def close(self) -> None:
        """Everything is in the file."""
        if self._file is not None:
            self._file.close()

    @property
    def kept_in(self) -> Path | None:
        """The file, if there is one."""
        return self.path if self._file is not None else None


def findings_of(file: Path, command: str) -> Findings:
    """Those of this command on `file`, in place of those of an earlier run."""
    return Findings(default_home() / "imports" / f"{file.stem}.{command}-errors.csv")
