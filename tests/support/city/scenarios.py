"""A small made-up city's messages for metrics, and what becomes of each case in plain values."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from lastmetre.common.contracts import cases
from lastmetre.common.contracts.base import SYSTEM, Channel, Language, Message, Origin
from lastmetre.common.contracts.cases import CaseEvent, LocalName, PublishedLead
from lastmetre.common.contracts.deliveries import DeliveryResult, MessageDelivered, Recipient
from lastmetre.common.contracts.network import AreaPublished
from lastmetre.common.contracts.reports import ReportAccepted, ReportRejected
from lastmetre.common.service.ids import IdGenerator

FIRST: Final = datetime(2026, 11, 20, 10, tzinfo=UTC)
AREAS: Final = ("A01", "A02", "A03", "A04")


@dataclass(slots=True)
class Scenario:
    """What happens to one case, in plain values: minutes after the report, None is never."""

    case_id: UUID
    report_id: UUID
    number: str
    channel: Channel
    origin: Origin
    category: str
    reported_at: datetime
    area: str | None
    accepted: float | None = None
    arrived: float | None = None
    resolved: float | None = None
    closed: float | None = None
    cancelled: str | None = None
    returned: bool = False
    reopened: bool = False
    score: int | None = None
    events: list[CaseEvent] = field(default_factory=list)

    @property
    def response(self) -> float | None:
        """Seconds from report to closing, where that is a response time."""
        if self.closed is None or self.closed < 0 or self.on_spot:
            return None
        return self.closed * 60

    @property
    def on_spot(self) -> bool:
        """Found and fixed in one."""
        return self.channel is Channel.PATROL and self.resolved == 0


class Teller:
    """Numbers a case's events as dispatch does."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.seq = 0

    def event(self, kind: type[CaseEvent], minutes: float, **more: Any) -> CaseEvent:
        """The case's next event."""
        self.seq += 1
        at = self._scenario.reported_at + timedelta(minutes=minutes)
        common = {"case_id": self._scenario.case_id, "seq": self.seq, "occurred_at": at,
                  "recorded_at": at, "actor": SYSTEM}  # fmt: skip
        return kind.model_validate(common | more)

    def place(self, minutes: float, matched_by: str) -> CaseEvent:
        """To the area's lead, or into the queue."""
        area = self._scenario.area
        if area is None:
            return self.event(cases.CaseUnplaced, minutes, reason="no_position")
        return self.event(cases.CaseDispatched, minutes, area_id=area, lead=_lead(area),
                          matched_by=matched_by, network_version=1)  # fmt: skip

    def closing(self, resolved: float, closed: float) -> Iterable[CaseEvent]:
        """Resolved, verified, closed."""
        yield self.event(cases.CaseResolved, resolved)
        yield self.event(cases.CaseVerified, closed)
        yield self.event(cases.CaseClosed, closed)


class World:
    """Scenarios and their messages, from a seed."""

    def __init__(self, seed: int, size: int) -> None:
        self.random = random.Random(seed)
        self.identities = IdGenerator(self.random)
        self.scenarios = [self._scenario(n) for n in range(size)]

    def _scenario(self, n: int) -> Scenario:
        choose = self.random
        reported = FIRST + timedelta(minutes=choose.uniform(0, 3 * 24 * 60))
        reported = reported.replace(microsecond=0)
        scenario = Scenario(
            case_id=self.identities.uuid7(reported),
            report_id=self.identities.uuid7(reported),
            number=f"261120-{n:04}",
            channel=choose.choice(list(Channel)),
            origin=choose.choice(list(Origin)),
            category=choose.choice(["06010", "06028", "09009"]),
            reported_at=reported,
            area=choose.choice([*AREAS, None]),
        )
        self._fate(scenario)
        scenario.events = list(self._events(scenario))
        return scenario

    def _fate(self, scenario: Scenario) -> None:
        choose = self.random
        fate = choose.random()
        if fate < 0.1:
            scenario.cancelled = choose.choice(["Referred Out", "duplicate"])
        elif fate < 0.15:
            scenario.resolved = scenario.closed = -choose.randint(1, 60)
        elif fate < 0.25:
            scenario.resolved = scenario.closed = 0
        elif fate < 0.85:
            scenario.accepted = choose.randint(1, 30) if scenario.area else None
            scenario.arrived = 40 if scenario.accepted and choose.random() < 0.5 else None
            scenario.resolved = choose.randint(50, 500)
            scenario.closed = scenario.resolved + choose.randint(0, 60)
            scenario.returned = bool(scenario.area) and choose.random() < 0.1
            scenario.reopened = choose.random() < 0.1
            scenario.score = choose.choice([None, 1, 3, 4, 5])

    def _events(self, scenario: Scenario) -> Iterable[CaseEvent]:
        tell = Teller(scenario)
        yield tell.event(
            cases.CaseRegistered, 0, number=scenario.number, report_id=scenario.report_id,
            channel=scenario.channel, origin=scenario.origin, category=scenario.category,
            reported_at=scenario.reported_at, reporter_reachable=True, language=Language.CHINESE,
        )  # fmt: skip
        yield tell.place(0, "position")
        if scenario.returned:
            yield tell.event(cases.CaseReturned, 0, lead_id="L0", reason="not_found")
            yield tell.event(cases.CaseUnplaced, 0, reason="returned")
            yield tell.place(0, "operator")
        if scenario.cancelled:
            yield tell.event(cases.CaseCancelled, 5, reason=scenario.cancelled)
        if scenario.accepted is not None:
            yield tell.event(cases.CaseAccepted, scenario.accepted)
        if scenario.arrived is not None:
            yield tell.event(cases.CaseArrived, scenario.arrived)
        if scenario.reopened:
            yield from tell.closing(45, 45)
            yield tell.event(cases.CaseReopened, 46, closing=tell.seq)
            yield tell.place(46, "reopened")
        if scenario.resolved is not None and scenario.closed is not None:
            yield from tell.closing(scenario.resolved, scenario.closed)
        if scenario.score:
            yield tell.event(cases.CaseRated, 999, closing=tell.seq, feedback_id=UUID(int=1),
                             solved=scenario.score > 2, score=scenario.score)  # fmt: skip

    def ledger(self) -> list[CaseEvent]:
        """All case events, cases mixed, each case's own order kept."""
        waiting = {n: list(reversed(each.events)) for n, each in enumerate(self.scenarios)}
        mixed: list[CaseEvent] = []
        while waiting:
            n = self.random.choice(list(waiting))
            mixed.append(waiting[n].pop())
            if not waiting[n]:
                del waiting[n]
        return mixed

    def reports(self, rejected: int) -> list[Message]:
        """The accepted report of each case, and some that were rejected."""
        messages: list[Message] = []
        for each in self.scenarios:
            accepted = ReportAccepted(
                report_id=each.report_id, channel=each.channel, origin=each.origin,
                category=each.category, reported_at=each.reported_at,
                received_at=each.reported_at, reporter_reachable=True, language=Language.CHINESE,
            )  # fmt: skip
            messages.append(accepted)
        for _ in range(rejected):
            report_id = self.identities.uuid7(FIRST)
            refused = ReportRejected(
                report_id=report_id, channel=Channel.APP, origin=Origin.LIVE, reported_at=FIRST,
                received_at=FIRST, reasons=("says_nothing", "position_is_null_island"),
            )  # fmt: skip
            messages.append(refused)
        return messages

    def deliveries(self) -> list[MessageDelivered]:
        """A message to the lead of each placed case, one in ten failed."""
        found: list[MessageDelivered] = []
        for n, each in enumerate(self.scenarios):
            message = MessageDelivered(
                case_id=each.case_id, message_id=self.identities.uuid7(each.reported_at), seq=2,
                recipient=Recipient.LEAD, provider="folder", occurred_at=each.reported_at,
                result=DeliveryResult.SENT if n % 10 else DeliveryResult.FAILED,
            )  # fmt: skip
            if each.area:
                found.append(message)
        return found


def network(version: int = 1) -> list[AreaPublished]:
    """Four square areas in a row."""
    published: list[AreaPublished] = []
    for n, area_id in enumerate(AREAS):
        west = 120 + n * 0.01
        corners = [(west, 30), (west + 0.01, 30), (west + 0.01, 30.02), (west, 30.02), (west, 30)]
        area = AreaPublished(
            area_id=area_id, name=LocalName(zh=f"片区{n + 1}", en=f"Area {n + 1}"),
            outline={"type": "Polygon", "coordinates": [corners]}, lead=_lead(area_id),
            network_version=version,
        )  # fmt: skip
        published.append(area)
    return published


def _lead(area_id: str) -> PublishedLead:
    return PublishedLead(
        lead_id=f"L{area_id}",
        name=LocalName(zh=f"王{area_id}", en=f"Wang {area_id}"),
        post=LocalName(zh="片长", en="Area lead"),
    )
