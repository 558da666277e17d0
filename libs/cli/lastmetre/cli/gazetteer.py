"""`lastmetre gazetteer`: the names on the city's map, by which intake finds places in words."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.console import STDOUT, UsedWrongly, as_it_is, print_document
from lastmetre.common.gazetteer.file import GazetteerError, read_gazetteer
from lastmetre.common.gazetteer.finding import Finder
from lastmetre.common.gazetteer.model import Candidate, Finding, Gazetteer, Place
from lastmetre.common.matching import for_matching

app = typer.Typer(
    no_args_is_help=True, help="The names on the city's map, by which places are found in words."
)
SHOWN: Final = 20
WHY_NOT: Final = {
    "no_name": "it names nothing on the map",
    "ambiguous": "it may mean several places",
    "contradictory": "it names places that lie apart",
    "unsure": "it does not surely mean that place",
    "too_rough": "it names a place that is too large to search",
}


@app.callback()
def main() -> None:
    """The names on the city's map, by which places are found in words."""


@app.command()
def check(
    gazetteer: Annotated[
        Path,
        typer.Argument(
            help="GeoJSON, as docs/gazetteer.md says.", exists=True, dir_okay=False
        ),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="TEXT", help="What is found in it. May be given again."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:  # fmt: skip
    """What a gazetteer holds, which names mean several places, and what is found in texts.

    Asks no service and changes nothing. Fails with every mistake of a file that cannot be used.

    Example:

        lastmetre gazetteer check gazetteer.geojson --try "长安镇厦岗社区振安东路118号门口"
    """
    try:
        held = read_gazetteer(gazetteer)
    except GazetteerError as error:
        raise UsedWrongly(str(error), "docs/gazetteer.md says how it is written.") from error
    tried = list(zip(texts or [], Finder(held).find_places(texts or []), strict=True))
    names = {place.place_id: place.name.zh for place in held.places}
    if as_json:
        print_document({**_held(held), "tried": [_tried(*each, names) for each in tried]})
        return
    _print_held(held)
    for text, finding in tried:
        _print_tried(text, finding, names)


def _held(gazetteer: Gazetteer) -> dict[str, Any]:
    places = gazetteer.places
    kinds = Counter(place.kind.value for place in places)
    return {
        "version": gazetteer.version,
        "places": dict(sorted(kinds.items())),
        "house_numbers": sum(len(place.numbers) for place in places),
        "roads_without_numbers": sum(e.kind == "road" and not e.numbers for e in places),
        "names_of_several": _names_of_several(places),
    }


def _names_of_several(places: Sequence[Place]) -> dict[str, list[str]]:
    """The ids by each name that more than one place bears, as texts are compared."""
    bearers: dict[str, dict[str, None]] = {}
    for place in places:
        for name in place.names:
            bearers.setdefault(for_matching(name), {})[place.place_id] = None
    return {name: list(ids) for name, ids in sorted(bearers.items()) if len(ids) > 1}


def _print(text: str) -> None:
    STDOUT.print(as_it_is(text), soft_wrap=True)


def _print_held(gazetteer: Gazetteer) -> None:
    held = _held(gazetteer)
    counted = ", ".join(f"{count:,} {kind}" for kind, count in held["places"].items())
    _print(f"{len(gazetteer.places):,} places: {counted}; version {held['version']}")
    _print(
        f"{held['house_numbers']:,} house numbers;"
        f" {held['roads_without_numbers']:,} roads without any"
    )
    several = held["names_of_several"]
    for name, ids in list(several.items())[:SHOWN]:
        _print(f"{name!r} means {', '.join(ids)}: a text has to say more")
    if len(several) > SHOWN:
        _print(f"and {len(several) - SHOWN:,} more names of several places")


def _tried(text: str, finding: Finding, names: dict[str, str]) -> dict[str, Any]:
    return {
        "text": text,
        "not_known": finding.not_known,
        "candidates": [
            {
                "places": {each: names[each] for each in candidate.place_ids},
                "words": _words(text, candidate),
                "matched_by": candidate.matched_by,
                "latitude": candidate.position.latitude,
                "longitude": candidate.position.longitude,
                "accuracy_metres": candidate.accuracy_metres,
                "confidence": candidate.confidence,
            }
            for candidate in finding.candidates
        ],
    }


def _words(text: str, candidate: Candidate) -> list[str]:
    return [text[span.start : span.end] for span in candidate.spans]


def _print_tried(text: str, finding: Finding, names: dict[str, str]) -> None:
    reason = finding.not_known
    _print(f"{text}: " + ("found" if reason is None else f"no position, for {WHY_NOT[reason]}"))
    for each in finding.candidates:
        named = " × ".join(names[place_id] for place_id in each.place_ids)
        _print(
            f"  {named} by {each.matched_by.replace('_', ' ')}"
            f" ({', '.join(repr(word) for word in _words(text, each))}):"
            f" {each.position.latitude:.6f}, {each.position.longitude:.6f}"
            f" within {each.accuracy_metres:,.0f} m, {each.confidence:.0%} sure"
        )
