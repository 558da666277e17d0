"""`lastmetre channel`: try a partner's mapping before his key is given out."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer

from lastmetre.cli.channel.checking import Check, Checked, Line
from lastmetre.cli.channel.samples import read_samples
from lastmetre.cli.console import STDOUT, as_it_is, print_document
from lastmetre.common.mapping.file import read_mapping

app = typer.Typer(no_args_is_help=True, help="Partners who write their reports in their own form.")

SHOWN_LETTERS: Final = 120


@app.callback()
def main() -> None:
    """Partners who write their reports in their own form."""


@app.command()
def check(
    mapping: Annotated[
        Path,
        typer.Argument(help="YAML, as docs/channels.md says.", exists=True, dir_okay=False),
    ],
    samples: Annotated[
        list[Path],
        typer.Argument(
            metavar="SAMPLE...",
            help="What the partner sends: JSON (one, an array, or one a line), CSV, XLSX.",
            exists=True, dir_okay=False,
        ),
    ],
    shown: Annotated[
        int, typer.Option("--show", min=0, help="So many documents field by field.")
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:  # fmt: skip
    """Field by field what a mapping makes of samples: what comes out, what is missing or dropped.

    Asks no service and sends nothing. Exits with 1 if a sample becomes no report, or loses a field.

    Example:

        lastmetre channel check mappings/grid-east.yaml sample.json
    """
    reader = read_mapping(mapping).reader()
    found = Check(reader)
    documents: list[Checked] = []
    for path in samples:
        for sample in read_samples(path, reader):
            checked = found.add(sample)
            if len(documents) < shown:
                documents.append(checked)
    if as_json:
        print_document({**found.document(), "shown": [asdict(each) for each in documents]})
    else:
        for each in documents:
            _print_document(each)
        _print_totals(found, reader.read_by, kept=reader.mapping.keep_sent)
    if found.unusable or not found.documents:
        raise typer.Exit(1)


def _print(text: str) -> None:
    STDOUT.print(as_it_is(text), soft_wrap=True)


def _print_document(checked: Checked) -> None:
    becomes = "becomes a report" if checked.becomes_report else "becomes no report"
    _print(f"{checked.where}: {checked.problem or becomes}")
    for each in checked.fields:
        _print(f"  {each.field}: {_became(each)}")
        if each.problem:
            _print(f"    {each.problem}")
    if checked.dropped:
        _print(f"  not named: {', '.join(checked.dropped)}")


def _became(line: Line) -> str:
    becomes = "nothing" if line.becomes is None else _short(line.becomes)
    if not line.places:
        return becomes
    sent = "nothing" if line.sent is None else repr(_short(line.sent))
    return f"{becomes}, from {', '.join(line.places)}: {sent}"


def _print_totals(found: Check, read_by: str, *, kept: bool) -> None:
    _print(
        f"{found.documents:,} documents by {read_by}: {found.reports:,} become reports,"
        f" {found.unusable:,} with something that cannot be used"
    )
    for name, totals in found.totals.items():
        _print(
            f"  {name}: {totals.filled:,} filled, {totals.missing:,} missing,"
            f" {totals.unusable:,} unusable"
        )
        for problem in totals.problems:
            _print(f"    {problem}")
    for never in found.never():
        _print(f"never filled: {never}")
    if missing := found.not_mapped():
        _print(f"not in the mapping: {', '.join(missing)}")
    if found.dropped:
        where = "kept in the vault as what was sent" if kept else "dropped"
        counted = ", ".join(f"{name} ({count:,})" for name, count in found.dropped.most_common())
        _print(f"not named by the mapping, {where}: {counted}")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_LETTERS else f"{line[:SHOWN_LETTERS]}…"
