"""The city's categories, and what each channel calls them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lastmetre.common.contracts.cases import LocalName

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Category:
    """A kind of problem. `on_form`: residents may choose it."""

    code: str
    name: LocalName
    on_form: bool


class Categories:
    """The catalogue in the order of its file, with the channels' own names for its codes."""

    def __init__(self, known: Iterable[Category], mapped: Mapping[tuple[str, str], str]) -> None:
        self._known = {category.code: category for category in known}
        self._mapped = dict(mapped)

    def code(self, channel: str, sent: str | None) -> str:
        """The city's code for what `channel` sent, or `unknown`."""
        if sent is None:
            return UNKNOWN
        if sent in self._known:
            return sent
        return self._mapped.get((channel, sent)) or self._mapped.get(("", sent)) or UNKNOWN

    def name(self, code: str) -> LocalName | None:
        """What the city calls it."""
        found = self._known.get(code)
        return found.name if found else None

    def on_form(self) -> list[Category]:
        """What the form offers; the whole catalogue where none is marked for it."""
        marked = [each for each in self._known.values() if each.on_form]
        return marked or list(self._known.values())


def parse_categories(rows: Iterable[Mapping[str, str | None]]) -> list[Category]:
    """Categories from rows with code, name_zh, name_en and perhaps on_form (1).

    Raises ValueError for a row without a code or a name, and for a code given twice.
    """
    found: dict[str, Category] = {}
    for number, row in enumerate(rows, start=2):
        code = (row.get("code") or "").strip()
        zh, en = (row.get("name_zh") or "").strip(), (row.get("name_en") or "").strip()
        if not code or not (zh or en):
            raise ValueError(f"line {number}: a category needs code, name_zh and name_en")
        if code in found:
            raise ValueError(f"line {number}: the code {code} is there already")
        on_form = (row.get("on_form") or "").strip().lower() in ("1", "true", "yes")
        found[code] = Category(code, LocalName(zh=zh or en, en=en or zh), on_form)
    return list(found.values())


def parse_mapping(
    rows: Iterable[Mapping[str, str | None]], known: Iterable[Category]
) -> dict[tuple[str, str], str]:
    """Channels' names for our codes, from rows with channel (empty: any), category and code.

    Raises ValueError for a row that leads to no known code.
    """
    codes = {category.code for category in known}
    mapped: dict[tuple[str, str], str] = {}
    for number, row in enumerate(rows, start=2):
        code = (row.get("code") or "").strip()
        sent = (row.get("category") or "").strip()
        if code not in codes or not sent:
            raise ValueError(f"line {number}: {sent!r} is mapped to {code!r}, no known code")
        mapped[(row.get("channel") or "").strip(), sent] = code
    return mapped
