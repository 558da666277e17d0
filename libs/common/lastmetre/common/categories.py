"""The city's categories: the catalogue of GB/T 47678.5 and codes of its own, with names."""

from collections.abc import Iterable, Iterator
from typing import Final

from lastmetre.common.contracts.base import Code, Model, Name
from lastmetre.common.contracts.cases import LocalName

UNKNOWN: Final = "unknown"
"""The category of a report whose sender named none that the city knows."""

_NO_NAME = LocalName(zh="未分类", en="Not sorted yet")


class Category(Model):
    """A kind of problem. `on_form`: residents may choose it. `aliases`: what people say of it, each
    one word or several that stand in the same text.
    """

    code: Code
    name: LocalName
    on_form: bool = False
    aliases: tuple[Name, ...] = ()


class Categories:
    """What the city works with, in the order of its file, and what may be sent besides: the
    national catalogue. A code that is in neither is shown as it is."""

    def __init__(self, known: Iterable[Category] = (), national: Iterable[Category] = ()) -> None:
        self._known = {category.code: category for category in known}
        self._all = {category.code: category for category in national} | self._known

    def __contains__(self, code: object) -> bool:
        return code in self._all

    def __iter__(self) -> Iterator[str]:
        """The city's own codes, in the order of the file."""
        return iter(self._known)

    def all_codes(self) -> Iterator[str]:
        """These, and those of the national catalogue."""
        return iter(self._all)

    def name(self, code: str) -> LocalName:
        """What people call it."""
        if code == UNKNOWN:
            return _NO_NAME
        found = self._all.get(code)
        return found.name if found else LocalName(zh=code, en=code)

    def suggested(self) -> list[Category]:
        """Those that a report may be said to be of: the city's own, all where it lists none."""
        return list(self._known.values()) or list(self._all.values())

    def on_form(self) -> list[Category]:
        """What the form offers; the whole catalogue where none is marked for it."""
        marked = [each for each in self._known.values() if each.on_form]
        return marked or list(self._known.values())
