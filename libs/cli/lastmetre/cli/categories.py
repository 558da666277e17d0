"""`lastmetre categories`: what the city's reports may be about, and what people say of it."""

from pathlib import Path
from typing import Annotated, Any

import typer

from lastmetre.cli.console import STDOUT, as_it_is, print_document
from lastmetre.common.categories import Categories
from lastmetre.common.category_suggestions import CategorySuggestion, CategorySuggestions
from lastmetre.common.tables.categories import read_categories

app = typer.Typer(
    no_args_is_help=True, help="What reports may be about, and what people say of it."
)


@app.callback()
def main() -> None:
    """What reports may be about, and what people say of it."""


@app.command()
def check(
    categories: Annotated[
        Path,
        typer.Argument(
            help="CSV or XLSX, as LASTMETRE_CATEGORIES_FILE.", exists=True, dir_okay=False
        ),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="TEXT", help="What it may be about. May be given again."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What a file of categories holds, which have no aliases, and what words of texts suggest.

    Asks no service and changes nothing. Fails with every mistake of a file that cannot be used.

    Example:

        lastmetre categories check categories.csv --try "路灯不亮"
    """
    known = read_categories(categories)
    suggestions = CategorySuggestions(known.suggested())
    tried = [(text, suggestions.suggest(text)) for text in texts or []]
    without = [each.code for each in known.suggested() if not each.aliases]
    if as_json:
        print_document(
            {
                "categories": len(list(known)),
                "without_aliases": without,
                "tried": [_tried(text, found) for text, found in tried],
            }
        )
        return
    _print(f"{len(list(known)):,} categories, {len(without):,} without aliases")
    for code in without:
        _print(f"  {code} {known.name(code).zh}: suggested by its name alone")
    for text, found in tried:
        _print_tried(text, found, known)


def _print(text: str) -> None:
    STDOUT.print(as_it_is(text), soft_wrap=True)


def _tried(text: str, found: list[CategorySuggestion]) -> dict[str, Any]:
    return {"text": text, "suggested": [each._asdict() for each in found]}


def _print_tried(text: str, found: list[CategorySuggestion], known: Categories) -> None:
    _print(text if found else f"{text}: nothing in it speaks for a category")
    for each in found:
        words = ", ".join(repr(word) for word in each.words)
        _print(f"  {each.confidence:.0%} {each.code} {known.name(each.code).zh} ({words})")
