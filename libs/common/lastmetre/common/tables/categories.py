"""The file of the city's categories: one reader for every service."""

from functools import cache
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from lastmetre.common.categories import UNKNOWN, Categories, Category
from lastmetre.common.contracts.cases import LocalName
from lastmetre.common.kafka.codec import describe
from lastmetre.common.tables.header import Columns
from lastmetre.common.tables.reading import Cells, read_table

COLUMNS: Final = Columns(("code", ("name_zh", "name_en")), ("on_form", "aliases"))
_NATIONAL: Final = Path(__file__).with_name("gbt47678_5.csv")
"""GB/T 47678.5: the same five digits stand for a part and for a matter, so that the code names
both."""
_NATIONAL_ALIASES: Final = Path(__file__).with_name("gbt47678_5_aliases.csv")
"""What people say of them: ours, the standard has none."""
_ALIAS_COLUMNS: Final = Columns(("code", "aliases"))
ON_FORM: Final = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def read_categories(path: Path | None) -> Categories:
    """The categories in a file, none without one. A name in one language counts for both, as for
    areas and leads: a city that works in one language has no other to give, and a page has to
    show something.

    Raises TableError with everything that is wrong, OSError if it cannot be read.
    """
    if path is None:
        return Categories(national=national_categories())
    table = read_table(path, COLUMNS)
    found: dict[str, Category] = {}
    for row in table.rows:
        try:
            category = _category(row.cells)
            if category.code in found:
                raise ValueError(f"the code {category.code} is there already")
        except ValueError as error:
            table.refuse(row, str(error))
        else:
            found[category.code] = category
    table.check()
    return Categories(found.values(), national_categories())


@cache
def national_categories() -> tuple[Category, ...]:
    """Those of the national catalogue: a city need not list what it only receives."""
    table = read_table(_NATIONAL, COLUMNS)
    return tuple(_category(row.cells) for row in table.rows)


@cache
def _national_aliases() -> dict[str, tuple[str, ...]]:
    table = read_table(_NATIONAL_ALIASES, _ALIAS_COLUMNS)
    return {row.cells["code"]: _aliases(row.cells["aliases"]) for row in table.rows}


def _aliases(cell: str) -> tuple[str, ...]:
    return tuple(each.strip() for each in cell.split(";") if each.strip())


def _category(cells: Cells) -> Category:
    """Raises ValueError with what is wrong."""
    code, on_form = cells["code"], cells.get("on_form", "").lower()
    zh, en = cells.get("name_zh", ""), cells.get("name_en", "")
    if not code:
        raise ValueError("code is empty")
    if code == UNKNOWN:
        raise ValueError(f"code: {UNKNOWN} is that of reports without a category")
    if not zh and not en:
        raise ValueError("neither name_zh nor name_en")
    if on_form and on_form not in ON_FORM:
        raise ValueError(f"on_form is 1 or 0, not {on_form!r}")
    try:
        return Category(
            code=code,
            name=LocalName(zh=zh or en, en=en or zh),
            on_form=ON_FORM.get(on_form, False),
            aliases=(*_aliases(cells.get("aliases", "")), *_national_aliases().get(code, ())),
        )
    except ValidationError as error:
        raise ValueError(describe(error)) from error
