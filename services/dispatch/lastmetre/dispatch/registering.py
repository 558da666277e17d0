"""Reports become cases: numbered, placed, and in the ledger, a batch at a time."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from zoneinfo import ZoneInfo

from lastmetre.common.contracts.cases import CaseEvent
from lastmetre.common.contracts.reports import ReportAccepted
from lastmetre.common.outbox.unit_of_work import UnitOfWork
from lastmetre.common.service.ids import IdGenerator
from lastmetre.dispatch.commands import append_events
from lastmetre.dispatch.domain.case import Case
from lastmetre.dispatch.domain.decide import register
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.store import cases as store

Accepted = tuple[ReportAccepted, str]
"""A report and the trace that it came with."""


class Registrar:
    """Registers accepted reports; a report that is a case already changes nothing."""

    def __init__(self, identities: IdGenerator, time_zone: ZoneInfo) -> None:
        self._identities = identities
        self._time_zone = time_zone

    async def register_all(
        self, work: UnitOfWork, network: Network, accepted: Sequence[Accepted]
    ) -> list[Case]:
        """The cases that began."""
        by_id = {report.report_id: (report, trace) for report, trace in accepted}
        known = await store.known_reports(work.connection, list(by_id)) if by_id else set()
        new = [each for report_id, each in by_id.items() if report_id not in known]
        if not new:
            return []
        areas = network.locate([report.position for report, _ in new])
        days = [report.reported_at.astimezone(self._time_zone).date() for report, _ in new]
        last = await store.next_numbers(work.connection, Counter(days))
        cases: list[Case] = []
        entries: list[CaseEvent] = []
        for (report, trace), area, day in zip(new, areas, days, strict=True):
            last[day] += 1
            decision = register(
                report,
                case_id=self._identities.uuid7(work.now),
                number=case_number(day, last[day]),
                area=area,
                network_version=network.version,
                now=work.now,
            )
            cases.append(decision.case)
            entries.extend(decision.events)
            append_events(work, decision.events, trace)
        await store.insert_cases(work.connection, cases)
        await store.append_ledger(work.connection, entries)
        return cases


def case_number(day: date, count: int) -> str:
    """A number for people: the city's local day and the count within it."""
    return f"{day:%y%m%d}-{count:04d}"
