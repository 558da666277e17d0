"""Reports of partners who write in their own form: what they become, and what they are told."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.web.problems import FieldProblem

_SIMPLE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*|\[\d+\])*", re.ASCII)
_STEP: Final = re.compile(r"\w+", re.ASCII)

Told = list[FieldProblem]


class MappedReports:
    """The reports of one request, read by the mapping of its sender's key.

    Pointers lead into what he sent, where the mapping's expression is a path; values are left out.
    """

    def __init__(self, reader: Reader, remarks_on: Callable[[ReportSubmitted], Told]) -> None:
        self._reader = reader
        self._remarks_on = remarks_on
        self._left_out: dict[ReportSubmitted, Told] = {}

    def report(self, document: Any) -> ReportSubmitted | Told:
        """The report in a JSON value, or what is wrong with it."""
        if not isinstance(document, dict):
            return [{"pointer": "", "message": "A report is a JSON object"}]
        reading = self._reader.read(document)
        if reading.report is None:
            return [
                {"pointer": _pointer(each.places), "message": each.mistake.silent()}
                for each in reading.mistakes
                if each.mistake
            ]
        self._left_out[reading.report] = [
            {"pointer": _pointer(each.places), "message": each.lost.silent()}
            for each in reading.fields
            if each.lost
        ]
        return reading.report

    def remarks(self, report: ReportSubmitted) -> Told:
        """What of a report that was read here is not used as it was sent."""
        ours = self._remarks_on(report)
        return self._left_out[report] + [
            {"pointer": _pointer(self._places(each["pointer"])), "message": each["message"]}
            for each in ours
        ]

    def _places(self, pointer: str) -> Sequence[str]:
        return self._reader.places(pointer.lstrip("/").replace("/", "."))


def _pointer(places: Sequence[str]) -> str:
    """RFC 6901; empty, for the whole, where there is no one path."""
    if not places or not _SIMPLE.fullmatch(places[0]):
        return ""
    return "".join(f"/{step}" for step in _STEP.findall(places[0]))
