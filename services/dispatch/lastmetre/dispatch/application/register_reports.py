"""Reports become cases: numbered, placed, and in the ledger, a batch at a time."""

from collections.abc import Sequence
from functools import partial
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg

from lastmetre.common.contracts.base import Origin
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.reports import ReportAccepted
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.ids import derived_uuid7, milliseconds_of
from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import TRACES
from lastmetre.dispatch.adapters.postgres import cases as store
from lastmetre.dispatch.adapters.postgres import ledger
from lastmetre.dispatch.adapters.postgres.ledger import LedgerEntry
from lastmetre.dispatch.application.events import append_events
from lastmetre.dispatch.application.reserve_numbers import NumberReservations
from lastmetre.dispatch.domain.decide import register
from lastmetre.dispatch.domain.network import Network

Accepted = tuple[ReportAccepted, str]
"""A report and the trace that it came with."""

NUMBER_KEY: Final = "case_number_key"


def case_id_of(report_id: UUID) -> UUID:
    """The case that a report becomes, whenever and by whomever it is registered."""
    return derived_uuid7(milliseconds_of(report_id), b"case", report_id.bytes)


class Registrar:
    """Registers accepted reports; a report that is a case already changes nothing."""

    def __init__(self, numbers: NumberReservations, time_zone: ZoneInfo) -> None:
        self._numbers = numbers
        self._time_zone = time_zone

    async def register_all(
        self, work: UnitOfWork, network: Network, accepted: Sequence[Accepted]
    ) -> list[Case]:
        """The cases that began. Before it nothing may be locked that others wait for.

        Raises SerializationError if it has to be done again: by then it comes out otherwise.
        """
        by_id = {report.report_id: (report, trace) for report, trace in accepted}
        known = await store.known_reports(work.connection, list(by_id)) if by_id else set()
        self._numbers.forget(list(known))
        new = [each for report_id, each in by_id.items() if report_id not in known]
        if not new:
            return []
        answering = network.answering(
            [(r.position, r.accuracy_metres, r.named_area_id) for r, _ in new]
        )
        days = {
            report.report_id: report.reported_at.astimezone(self._time_zone).date()
            for report, _ in new
        }
        numbers = await self._numbers.reserve(work, days)
        cases: list[Case] = []
        entries: list[LedgerEntry] = []
        for (report, trace), who in zip(new, answering, strict=True):
            decision = register(
                report,
                case_id=case_id_of(report.report_id),
                number=numbers[report.report_id],
                answering=who,
                network_version=network.version,
                now=work.now,
            )
            cases.append(decision.case)
            if report.origin is Origin.LIVE:
                waited = (work.now - report.received_at).total_seconds()
                work.after_commit(
                    partial(
                        metrics.REPORT_TO_CASE.observe, max(waited, 0.0), TRACES.exemplar(trace)
                    )
                )
            entries.extend(append_events(work, decision.events, trace))
        try:
            await store.insert_cases(work.connection, cases)
        except asyncpg.UniqueViolationError as error:
            if error.constraint_name == NUMBER_KEY:
                await self._numbers.skip_used(days)
            raise asyncpg.SerializationError("registered or numbered meanwhile") from error
        await ledger.append(work.connection, entries)
        return cases
