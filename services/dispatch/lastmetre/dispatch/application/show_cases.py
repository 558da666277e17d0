"""Cases as staff see them: with what was reported, who could take them, and what was told."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from uuid import UUID

from lastmetre.common.categories import UNKNOWN, Categories
from lastmetre.common.category_suggestions import CategorySuggestion, CategorySuggestions
from lastmetre.common.contracts.case_messages import CaseMessageText
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import CaseNoted, CaseReturned
from lastmetre.common.contracts.vault import ContactInFull, ReportText
from lastmetre.common.danger import names_danger
from lastmetre.common.security.callers import CENTRE, OPERATORS, Person
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.case_messages import CaseMessagesClient
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.hold_actions import HoldActions
from lastmetre.dispatch.application.likely_cases import LikelyCase, LikelyCases
from lastmetre.dispatch.application.who_may_see import may_see_contact, may_see_notes
from lastmetre.dispatch.domain.held_actions import HeldAction
from lastmetre.dispatch.domain.ledger import Step
from lastmetre.dispatch.domain.network import Area, Network
from lastmetre.dispatch.domain.suggestions import named_in

CANDIDATES: Final = 3
ROUGH_METRES: Final = 100.0


class CaseInList(NamedTuple):
    """A case with its reporters' words."""

    case: Case
    said: ReportText | None
    """Of the report that it was registered for; None while intake is away, or if it was erased."""
    merged: Sequence[ReportText | None]
    """Of the reports that have joined it."""
    urgent: bool
    within_metres: float | None
    """How far off its place may be, where that is too far for a point on a map."""
    way: bool
    """Whether its place is exact enough to be led to: not while nobody can tell."""


class Candidate(NamedTuple):
    """An area whose lead could take a case."""

    area: Area
    metres: float | None
    """From the case; None where it has no place, and names the area."""
    open: int
    """Open cases of the area's lead."""


@dataclass(frozen=True, slots=True)
class CaseShown:
    """A case with all that happened to it, its surroundings, and what somebody may see of it."""

    row: CaseInList
    held: HeldAction | None
    messages: Sequence[CaseMessageText] | None
    """None while notify is away, and for leads."""
    notes: Mapping[UUID, str] | None
    """What staff noted, by the note's id; None while intake is away."""
    network: Network
    here: Area | None
    """The area that its place lies in."""
    candidates: Sequence[Candidate]
    open_cases: Mapping[str, int]
    """Of each lead of the network."""
    gave_back: Collection[str | None]
    """Leads who have returned it."""
    kinds: Sequence[CategorySuggestion]
    """What its words may be about, likeliest first, if nobody has said what it is."""
    likely: Sequence[LikelyCase]
    """Cases that may be of the same problem, for whoever may join them."""
    joined: Case | None
    """Of a merged case: the one that its report belongs to."""
    numbers: Mapping[UUID, str]
    """Of the cases that its history names."""


class ShowCases:
    """Asks intake and notify at that moment for what is personal; nothing of it is kept."""

    def __init__(
        self,
        service: CaseService,
        hold: HoldActions,
        vault: VaultClient,
        messages: CaseMessagesClient,
        categories: Categories,
        likely: LikelyCases,
    ) -> None:
        self._service = service
        self._hold = hold
        self._vault = vault
        self._messages = messages
        self._categories = categories
        self._suggestions = CategorySuggestions(categories.suggested())
        self._likely = likely

    async def in_list(self, cases: Sequence[Case]) -> list[CaseInList]:
        """Cases with their words, in the same order."""
        texts = await self._vault.texts([each for case in cases for each in case.report_ids])
        return [self._in_list(case, texts) for case in cases]

    async def __call__(self, case: Case, steps: Sequence[Step], person: Person) -> CaseShown:
        """The case as `person`, who may see it, sees it."""
        network = await self._service.network()
        (row,) = await self.in_list([case])
        leads = {area.lead.lead_id for area in network.areas.values() if area.lead}
        open_cases = await self._service.open_counts(sorted(leads))
        at_the_centre = person.role in CENTRE
        return CaseShown(
            row=row,
            held=(await self._hold.of_cases([case.case_id])).get(case.case_id),
            messages=await self._messages.of(case.case_id) if at_the_centre else None,
            notes=await self._notes(steps) if may_see_notes(case, person) else {},
            network=network,
            here=network.locate([case.position])[0],
            candidates=_candidates(row, network, open_cases),
            open_cases=open_cases,
            gave_back={s.line.actor_id for s in steps if s.line.type == CaseReturned.TYPE},
            kinds=self._kinds(row),
            likely=await self._likely.of(case) if person.role in OPERATORS else [],
            joined=await self._likely.joined_by(case),
            numbers=await self._likely.numbers(steps),
        )

    async def contact(self, case: Case, person: Person) -> ContactInFull | None:
        """The reporter's contact; intake keeps who has read it. None while it cannot be had.

        Raises Problem 403 if it is none of his business.
        """
        if not may_see_contact(case, person):
            raise Problem(403, "/problems/not-allowed", N_("This is not open to you"))
        return await self._vault.contact(case.report_id, person.actor)

    def _kinds(self, row: CaseInList) -> list[CategorySuggestion]:
        if row.case.category != UNKNOWN:
            return []
        said = [each.text for each in (row.said, *row.merged) if each and each.text]
        return self._suggestions.suggest("\n".join(said))

    def _in_list(self, case: Case, texts: Mapping[UUID, ReportText]) -> CaseInList:
        kind = self._categories.name(case.category)
        said = [texts[each] for each in case.report_ids if each in texts]
        words = [kind.zh, kind.en, *(w for each in said for w in (each.text, each.address))]
        first = texts.get(case.report_id)
        metres = case.within_metres
        if metres is None and first is not None:
            metres = first.accuracy_metres  # of a case registered by an earlier build
        rough = metres if metres is not None and metres >= ROUGH_METRES else None
        known = metres is not None or first is not None
        return CaseInList(
            case=case,
            said=first,
            merged=[texts.get(each) for each in case.merged],
            urgent=case.is_open and names_danger(words),
            within_metres=rough,
            way=case.position is not None and known and rough is None,
        )

    async def _notes(self, steps: Iterable[Step]) -> dict[UUID, str] | None:
        noted = (step.event for step in steps)
        return await self._vault.notes([e.note_id for e in noted if isinstance(e, CaseNoted)])


def _candidates(
    row: CaseInList, network: Network, open_cases: Mapping[str, int]
) -> list[Candidate]:
    """Who could take a case: the leads of the closest areas, or of those that it names."""
    case = row.case
    if not case.is_open:
        return []
    said = [each for each in (row.said, *row.merged) if each]
    words = [w for each in said for w in (each.address, each.text)]
    areas: list[tuple[Area, float | None]] = (
        [(area, None) for area in named_in(words, network.areas.values(), CANDIDATES)]
        if case.position is None
        else [*network.nearest(case.position, CANDIDATES)]
    )
    return [
        Candidate(area, metres, open_cases.get(area.lead.lead_id, 0))
        for area, metres in areas
        if area.lead and area.area_id != case.area_id
    ]
