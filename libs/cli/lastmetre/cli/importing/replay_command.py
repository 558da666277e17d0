"""`lastmetre replay-actions`: what was done about the reports of a file."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import typer

from lastmetre.cli.client import ServiceClient
from lastmetre.cli.console import STDOUT, Bar, UsedWrongly, print_document, progress_bar
from lastmetre.cli.importing.command import (
    CHUNK,
    DryRun,
    File,
    Json,
    MappingFile,
    outcome,
    tell_findings,
)
from lastmetre.cli.importing.field import Field, open_field
from lastmetre.cli.importing.findings import Findings, findings_of
from lastmetre.cli.importing.replaying import Replaying
from lastmetre.cli.importing.rows import in_chunks, layout_of, table_reader
from lastmetre.cli.importing.steps import Step, step_in
from lastmetre.cli.profile import installation
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.mapping.model import TableMapping
from lastmetre.common.mapping.values import Unusable
from lastmetre.common.tables.reading import Row, read_rows, rows_at_most


def replay_actions(
    file: File, mapping: MappingFile, dry_run: DryRun = False, as_json: Json = False
) -> None:
    """The times that a file records of imported reports, as actions of their leads.

    What is resolved is verified and closed at that time; where no lead has the case the command
    centre acts. Stages that the file has no times for stay without data. The same file again
    changes nothing. Exits with 1 if an action was refused; a file then says which, and why.
    """
    reader, known = table_reader(mapping)
    if known.replay is None:
        raise UsedWrongly(f"{mapping} has no part `replay`.", "see deploy/mappings/la311.yaml.")
    began = time.monotonic()
    findings = findings_of(file, "replay-actions")
    title = "checking" if dry_run else "replaying"
    with (
        closing(findings),
        ServiceClient(installation()) as services,
        progress_bar(title, rows_at_most(file)) as bar,
    ):
        run = _Run(file, reader, known, services, findings, bar)
        counts = asyncio.run(run.dry() if dry_run else run.real())
    document = outcome(counts, findings, time.monotonic() - began, dry_run=dry_run)
    if as_json:
        print_document(document)
    else:
        STDOUT.print(_words(document), soft_wrap=True)
    tell_findings(findings)
    if findings.refused:
        raise typer.Exit(1)


class _Run:
    """One pass over the file."""

    def __init__(
        self,
        file: Path,
        reader: Reader,
        mapping: TableMapping,
        services: ServiceClient,
        findings: Findings,
        bar: Bar,
    ) -> None:
        self._file = file
        self._reader = reader
        self._mapping = mapping
        self._services = services
        self._findings = findings
        self._bar = bar

    async def dry(self) -> dict[str, Any]:
        return await self._pass(None)

    async def real(self) -> dict[str, Any]:
        async with open_field(*installation().broker()) as field:
            return await self._pass(field)

    async def _pass(self, field: Field | None) -> dict[str, Any]:
        replaying = Replaying(self._services, field, self._findings)
        rows = nothing = 0
        for chunk in in_chunks(
            read_rows(self._file, layout_of(self._reader, self._mapping)), CHUNK
        ):
            read = list(self._steps(chunk))
            steps = [each for each in read if each is not None]
            nothing += len(read) - len(steps)
            await replaying.replay(steps)
            rows += len(chunk)
            self._bar.advance(len(chunk))
        self._bar.at(rows, rows)
        return {
            "rows": rows,
            **replaying.counts,
            "nothing_to_replay": nothing,
            "refused": self._findings.refused,
        }

    def _steps(self, rows: list[Row]) -> Iterator[Step | None]:
        for row in rows:
            try:
                yield step_in(row, self._reader, self._mapping)
            except Unusable as error:
                self._findings.refuse(row.line, self._reader.said_id(row.cells), str(error))


def _words(document: dict[str, Any]) -> str:
    would = "would be " if document["dry_run"] else ""
    lines = [
        f"{document['rows']:,} rows in {document['seconds']:.1f} s:"
        f" {document['resolved']:,} {would}resolved and closed,"
        f" {document['cancelled']:,} {would}cancelled,"
        f" {document['already_there']:,} there already,"
        f" {document['nothing_to_replay']:,} with nothing to replay,"
        f" {document['refused']:,} refused",
        f"of these {document['without_a_lead']:,} from the centre's queue, and"
        f" {document['closed_before_reported']:,} closed before they were reported",
    ]
    return "\n".join(lines)
