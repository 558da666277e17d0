"""A case, who looks at it, and the pages without the services behind them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

from fastapi import Request
from starlette.testclient import TestClient
from tests.unit.web.conftest import PUBLIC_URLS, guarded_app

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.base import (
    SYSTEM,
    Actor,
    ActorRole,
    Channel,
    Language,
    Origin,
    Position,
)
from lastmetre.common.contracts.case_messages import CaseMessageText
from lastmetre.common.contracts.case_model import Case, fold
from lastmetre.common.contracts.cases import (
    CaseEvent,
    CaseRegistered,
    LocalName,
    PublishedLead,
)
from lastmetre.common.contracts.place_in_words import PlaceInWords
from lastmetre.common.contracts.vault import ContactInFull, ReportText
from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.security.callers import Person, Role, Via
from lastmetre.common.web.kit import Pages
from lastmetre.dispatch.application.likely_cases import LikelyCase
from lastmetre.dispatch.application.show_cases import ShowCases
from lastmetre.dispatch.domain.held_actions import HeldAction
from lastmetre.dispatch.domain.ledger import LedgerLine, Step
from lastmetre.dispatch.domain.network import Area, Network
from lastmetre.dispatch.entrypoints.web.case_view import CaseView

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
CASE, REPORT = UUID(int=1), UUID(int=2)
OTHER = UUID(int=3)
"""The case that a merge or a split names."""
LI = PublishedLead(
    lead_id="li",
    name=LocalName(zh="李敏", en="Li Min"),
    post=LocalName(zh="片长", en="Area lead"),
)
RING = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]
LIBRARY = Area(
    "A1",
    LocalName(zh="图书馆片区", en="Library area"),
    None,
    {"type": "Polygon", "coordinates": [RING]},
    LI,
)
LEAD_LI = Actor(role=ActorRole.LEAD, id="li")
RESIDENT = Actor(role=ActorRole.RESIDENT)
OPERATOR = Actor(role=ActorRole.OPERATOR, id="zhou")


def person(role: Role, lead_id: str | None = None) -> Person:
    return Person("somebody", role, lead_id, Via.COOKIE)


def registered(
    position: Position | None = None, words: PlaceInWords | None = None
) -> CaseRegistered:
    return CaseRegistered(
        case_id=CASE, seq=1, occurred_at=NOW, recorded_at=NOW, actor=SYSTEM, number="261122-0001",
        report_id=REPORT, channel=Channel.APP, origin=Origin.LIVE, category="E06010",
        reported_at=NOW, reporter_reachable=True, language=Language.CHINESE, position=position,
        place_in_words=words,
    )  # fmt: skip


def steps(
    *further: tuple[type[CaseEvent], Actor, Mapping[str, Any]],
    position: Position | None = None,
    words: PlaceInWords | None = None,
) -> list[Step]:
    """A ledger that begins with a registration."""
    events: list[CaseEvent] = [registered(position, words)]
    for seq, (kind, actor, facts) in enumerate(further, start=2):
        events.append(
            kind.model_validate(
                {"case_id": CASE, "seq": seq, "occurred_at": NOW, "recorded_at": NOW,
                 "actor": actor, **facts}
            )
        )  # fmt: skip
    return [Step(_line(event), event) for event in events]


def _line(event: CaseEvent) -> LedgerLine:
    actor = event.actor
    return LedgerLine(
        event.seq, event.TYPE, event.occurred_at, event.recorded_at, actor.role, actor.id
    )


def case_after(ledger: Sequence[Step]) -> Case:
    case: Case | None = None
    for step in ledger:
        assert step.event is not None
        case = fold(case, step.event)
    assert case is not None
    return case


REGISTERED_CASE = case_after(steps())
"""With nothing but its first event, for tests of where it lies."""


class Service:
    """What a case's page asks of dispatch."""

    async def network(self) -> Network:
        return Network(1, [LIBRARY])

    async def open_counts(self, _: Sequence[str]) -> dict[str, int]:
        return {}


class Vault:
    """A reporter who left a phone; or nobody there."""

    def __init__(self, *, away: bool = False) -> None:
        self._away = away
        self.asked_by: list[str] = []

    async def texts(self, report_ids: Sequence[UUID]) -> dict[UUID, ReportText]:
        if self._away:
            return {}
        said = ReportText(
            text="路灯不亮", address="滨江路", phone_masked="138****8000", reachable=True
        )
        return dict.fromkeys(report_ids, said)

    async def notes(self, note_ids: Sequence[UUID]) -> dict[UUID, str] | None:
        """Only note 7 is there; the others were erased."""
        return None if self._away else {each: "已电话核实" for each in note_ids if each.int == 7}

    async def contact(self, _: UUID, actor: str) -> ContactInFull | None:
        self.asked_by.append(actor)
        return ContactInFull(name="陈先生", phone="13800138000", email=None)


class Likely:
    """The cases beside a case, as a test says."""

    def __init__(self, found: Sequence[LikelyCase] = (), joined: Case | None = None) -> None:
        self._found = found
        self._joined = joined

    async def of(self, _: Case) -> Sequence[LikelyCase]:
        return self._found

    async def joined_by(self, _: Case) -> Case | None:
        return self._joined

    async def numbers(self, _: Sequence[Step]) -> Mapping[UUID, str]:
        return {OTHER: "261122-0002"}


class Messages:
    """What was told about a case; None while notify is away."""

    def __init__(self, messages: list[CaseMessageText] | None) -> None:
        self._messages = messages

    async def of(self, _: UUID) -> list[CaseMessageText] | None:
        return self._messages


class Hold:
    """Nothing waits to be decided."""

    async def of_cases(self, _: Sequence[UUID]) -> dict[UUID, HeldAction]:
        return {}


class Host:
    """Only a clock."""

    class clock:  # noqa: N801
        """Stands still."""

        @staticmethod
        def now() -> datetime:
            return NOW


PAGES = Pages(
    "lastmetre.dispatch", static_path="/work/static", time_zone="Asia/Shanghai",
    city_names={"zh": "云桥市", "en": "Yunqiao"}, public_urls=PUBLIC_URLS,
)  # fmt: skip


async def shown(
    template: str,
    ledger: Sequence[Step],
    who: Person,
    *,
    vault: Vault | None = None,
    messages: list[CaseMessageText] | None = None,
    with_contact: bool = False,
    likely: Likely | None = None,
) -> str:
    """A case's page as that person reads it, in English."""
    vault = vault or Vault()
    categories = Categories([])
    show_cases = ShowCases(
        cast("Any", Service()), cast("Any", Hold()), cast("Any", vault),
        cast("Any", Messages(messages)), categories, cast("Any", likely or Likely()),
    )  # fmt: skip
    view = CaseView(cast("Any", Host), show_cases, PAGES, categories, chosen_from=0.7)
    case = case_after(ledger)
    context = await view.one(case, ledger, who, "en")
    context |= {"notice": None, "base": "", "number": ""}
    if with_contact:
        context["contact"] = await show_cases.contact(case, who)
    app = guarded_app()

    @app.get("/cases/page", dependencies=allow(Anyone()))
    async def show(request: Request) -> object:
        return PAGES.render(request, template, context)

    text: str = TestClient(app).get("/cases/page", headers={"Accept-Language": "en"}).text
    return text
