"""The city's categories: the catalogue of GB/T 47678.5 and codes of its own, with names."""

import csv
from collections.abc import Mapping
from pathlib import Path

from lastmetre.common.contracts.cases import LocalName

UNKNOWN = "unknown"
"""The category of a report whose sender named none that the city knows."""

_NO_NAME = LocalName(zh="未分类", en="Not sorted yet")


class Categories:
    """Names by code. A code that is not in the catalogue is shown as it is."""

    def __init__(self, names: Mapping[str, LocalName]) -> None:
        self.names = dict(names)

    def __contains__(self, code: str) -> bool:
        return code in self.names

    def name(self, code: str) -> LocalName:
        """What people call it."""
        if code == UNKNOWN:
            return _NO_NAME
        return self.names.get(code) or LocalName(zh=code, en=code)


def read_categories(path: Path | None) -> Categories:
    """The categories in a CSV file with the columns code, name_zh and name_en.

    Raises ValueError naming the line where a column is empty, OSError if it cannot be read.
    """
    if path is None:
        return Categories({})
    names: dict[str, LocalName] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        for row in reader:
            code, zh, en = (row.get(each) for each in ("code", "name_zh", "name_en"))
            if not (code and zh and en):
                raise ValueError(f"{path}, line {reader.line_num}: code, name_zh or name_en empty")
            names[code] = LocalName(zh=zh, en=en)
    return Categories(names)
