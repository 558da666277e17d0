"""`lastmetre import`: reports from a file."""

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import STDOUT, print_document, progress_bar, say, warn
from lastmetre.cli.importing.findings import Findings, findings_of
from lastmetre.cli.importing.reports import Prepared, prepare
from lastmetre.cli.importing.rows import in_chunks, layout_of, table_reader
from lastmetre.cli.importing.sending import Sending
from lastmetre.cli.profile import installation
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.values import Unusable
from lastmetre.common.tables.reading import Row, read_rows, rows_at_most

CHUNK: Final = 500
"""Reports sent at a time."""
CHUNKS_A_SECOND: Final = 4
"""With --rate the chunks are small enough to be spread over the second."""

File = Annotated[
    Path,
    typer.Argument(help="CSV or XLSX with a header.", exists=True, dir_okay=False, readable=True),
]
MappingFile = Annotated[
    Path,
    typer.Option(
        "--mapping",
        help="YAML that says which column means what, as deploy/mappings/la311.yaml.",
        exists=True, dir_okay=False, readable=True,
    ),
]  # fmt: skip
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check, and say what would be done.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def import_reports(
    file: File,
    mapping: MappingFile,
    dry_run: DryRun = False,
    live: Annotated[
        bool, typer.Option("--live", help="They happen now: own times unused, messages sent.")
    ] = False,
    rate: Annotated[float | None, typer.Option(min=0.1, help="So many a second at most.")] = None,
    receipts: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the receipts there, for `audit --receipts`."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Reports of a file, as history: with their own times, and nobody is written to.

    The same file again changes nothing. Rows that cannot be used are named in a file, with line
    and reason, and keep none of the others back; exits with 1 if there are any.
    """
    reader, known = table_reader(mapping)
    began = time.monotonic()
    findings = findings_of(file, "import")
    pace = Pace(rate)
    with (
        closing(findings),
        ServiceClient(installation()) as services,
        receipts.open("w", encoding="utf-8") if receipts else nullcontext() as kept,
        progress_bar("checking" if dry_run else "importing", rows_at_most(file)) as bar,
    ):
        sending = Sending(services, findings, kept)
        rows = 0
        for chunk in in_chunks(read_rows(file, layout_of(reader, known)), pace.chunk):
            pace.wait(len(chunk))
            prepared = list(_prepared(chunk, reader, findings, live=live))
            if dry_run:
                sending.only_count(prepared)
            else:
                sending.send(prepared)
            rows += len(chunk)
            bar.advance(len(chunk))
        sending.finish()
        bar.at(rows, rows)
    counts = {
        "rows": rows,
        "accepted": sending.accepted,
        "already_there": sending.already_there,
        "refused": findings.refused,
    }
    _tell(counts, findings, time.monotonic() - began, dry_run=dry_run, as_json=as_json)
    if findings.refused:
        raise typer.Exit(1)


class Pace:
    """Not more than `rate` a second, evenly; as fast as it goes without."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self.chunk = max(1, min(CHUNK, int(rate / CHUNKS_A_SECOND))) if rate else CHUNK
        self._next = time.monotonic()

    def wait(self, count: int) -> None:
        """Until it is the turn of `count` more."""
        if self._rate:
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = max(self._next, time.monotonic() - 1) + count / self._rate


def _prepared(
    rows: list[Row], reader: Reader, findings: Findings, *, live: bool
) -> Iterator[Prepared]:
    for row in rows:
        try:
            each = prepare(row, reader, live=live)
        except Unusable as error:
            findings.refuse(row.line, reader.said_id(row.cells), str(error))
            continue
        if each.doubt:
            findings.note(row.line, each.report.source_id, each.doubt)
        yield each


def _tell(
    counts: dict[str, int], findings: Findings, seconds: float, *, dry_run: bool, as_json: bool
) -> None:
    if as_json:
        print_document(outcome(counts, findings, seconds, dry_run=dry_run))
    else:
        would = "would be " if dry_run else ""
        STDOUT.print(
            f"{counts['rows']:,} rows in {seconds:.1f} s: {counts['accepted']:,} {would}accepted,"
            f" {counts['already_there']:,} there already, {counts['refused']:,} refused",
            soft_wrap=True,
        )
    tell_findings(findings)


def outcome(
    counts: dict[str, Any], findings: Findings, seconds: float, *, dry_run: bool
) -> dict[str, Any]:
    """The one document of an import or a replay."""
    return {
        **counts,
        "noted": findings.noted,
        "errors_file": str(findings.kept_in) if findings.kept_in else None,
        "seconds": round(seconds, 1),
        "dry_run": dry_run,
    }


def tell_findings(findings: Findings) -> None:
    """Where to read what was refused or doubtful, and the first few of them."""
    if findings.kept_in is None:
        return
    for example in findings.examples:
        say(f"  {example}")
    warn(
        f"{findings.refused:,} rows were refused and {findings.noted:,} taken with a doubt:"
        f" lines and reasons are in {findings.kept_in}"
    )
