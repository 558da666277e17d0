"""A case as staff see it: what was reported, who has it, what was said at each step."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import Assignment, CaseNoted, CaseReturned, CategoryChanged
from lastmetre.common.contracts.vault import ContactInFull, ReportText
from lastmetre.common.security.callers import Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.forms import grouped
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.languages import Language
from lastmetre.common.web.wording import Wording
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.case_messages import CaseMessagesClient
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.application.case_list import state_of
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.hold_actions import HoldActions
from lastmetre.dispatch.application.who_may_see import (
    CENTRE,
    OPERATORS,
    may_see_contact,
    may_see_notes,
)
from lastmetre.dispatch.domain.ledger import Step
from lastmetre.dispatch.domain.network import Area, Network
from lastmetre.dispatch.domain.suggestions import named_in
from lastmetre.dispatch.domain.urgency import names_danger
from lastmetre.dispatch.entrypoints.web.sketch import case_map

CANDIDATES: Final = 3
ROUGH_METRES: Final = 100.0
GAVE_BACK: Final = N_("gave it back")
OPEN: Final = "%(num)s open"
AROUND: Final = N_("Sketch of the place and the areas around it")


class CaseView:
    """What the templates show of cases."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        vault: VaultClient,
        messages: CaseMessagesClient,
        hold: HoldActions,
        pages: Pages,
        categories: Categories,
    ) -> None:
        self._host = host
        self._service = service
        self._vault = vault
        self._messages = messages
        self._hold = hold
        self._pages = pages
        self._categories = categories

    async def rows(self, cases: Sequence[Case], language: str) -> list[dict[str, Any]]:
        """Cases with their words, as the templates show them."""
        texts = await self._vault.texts([each for case in cases for each in case.report_ids])
        return [self._row(case, texts, language) for case in cases]

    def _row(self, case: Case, texts: Mapping[UUID, ReportText], language: str) -> dict[str, Any]:
        kind = self._categories.name(case.category)
        said = [texts[each] for each in case.report_ids if each in texts]
        words = [kind.zh, kind.en, *(w for each in said for w in (each.text, each.address))]
        return {
            "case": case,
            "category": getattr(kind, language),
            "said": texts.get(case.report_id),
            "merged": [texts.get(each) for each in case.merged],
            "urgent": case.is_open and names_danger(words),
            **_exactness(case, texts.get(case.report_id)),
        }

    async def contact(self, case: Case, person: Person) -> ContactInFull | None:
        """The reporter's contact; intake keeps who has read it. None while it cannot be had."""
        return await self._vault.contact(case.report_id, person.actor)

    async def one(
        self, case: Case, steps: Sequence[Step], person: Person, language: Language
    ) -> dict[str, Any]:
        """A case with all that happened to it, its surroundings, and what `person` can do."""
        network = await self._service.network()
        label = self._pages.translations[language].gettext(AROUND)
        wording = self._pages.wordings[language]
        at_the_centre = person.role in CENTRE
        held = (await self._hold.of_cases([case.case_id])).get(case.case_id)
        row = (await self.rows([case], language))[0]
        said = [each for each in (row["said"], *row["merged"]) if each]
        words = [w for each in said for w in (each.address, each.text)]
        gave_back = {s.line.actor_id for s in steps if s.line.type == CaseReturned.TYPE}
        return {
            "row": row,
            "steps": steps,
            "role": person.role.value,
            "actor": person.lead_id or person.subject,
            "operates": person.role in OPERATORS,
            "has_it": person.lead_id is not None and person.lead_id == case.lead_id,
            "sees_contact": may_see_contact(case, person),
            "contact": None,
            "held": held,
            "case_state": state_of(case, held),
            "messages": await self._messages.of(case.case_id) if at_the_centre else None,
            "area": network.areas.get(case.area_id or ""),
            "area_names": area_names(network, wording),
            "here": network.locate([case.position])[0],
            "drawing": case_map(
                network,
                case,
                row["within_metres"],
                language,
                label,
                wording.distance,
                pick=person.role in OPERATORS and case.is_open,
            ),
            "candidates": await self._candidates(network, case, words),
            "gave_back": gave_back,
            "lead_of_area": leads_by_area(network, wording),
            "areas": await self._choices(network, gave_back, language),
            "leads": lead_names(network, steps, wording),
            "kinds": self._kinds(case, steps, wording),
            "sees_notes": may_see_notes(case, person),
            "notes": await self._notes(steps) if may_see_notes(case, person) else {},
            "now": self._host.clock.now(),
        }

    async def _notes(self, steps: Iterable[Step]) -> dict[UUID, str] | None:
        """The words of what staff noted; None while they cannot be had."""
        noted = (step.event for step in steps)
        return await self._vault.notes([e.note_id for e in noted if isinstance(e, CaseNoted)])

    def _kinds(self, case: Case, steps: Iterable[Step], wording: Wording) -> dict[str, str]:
        """The names of the city's categories, and of those that the case has had, by code."""
        had = {case.category}
        for step in steps:
            if isinstance(step.event, CategoryChanged):
                had |= {step.event.previous_category, step.event.category}
        codes = [*self._categories, *sorted(had - set(self._categories))]
        return {code: wording.own(self._categories.name(code)) for code in codes}

    async def _choices(
        self,
        network: Network,
        gave_back: Container[str | None],
        language: Language,
    ) -> list[tuple[str, list[tuple[str, str]]]]:
        """The areas that somebody answers for by their town, as (id, area · lead · how much he has
        to do, or that he gave it back)."""
        leads = {area.lead.lead_id for area in network.areas.values() if area.lead}
        open_cases = await self._service.open_counts(sorted(leads))
        wording = self._pages.wordings[language]
        translations = self._pages.translations[language]

        def load(lead_id: str) -> str:
            if lead_id in gave_back:
                return str(translations.ugettext(GAVE_BACK))
            count = open_cases.get(lead_id, 0)
            return str(translations.ungettext(OPEN, OPEN, count)) % {"num": wording.number(count)}

        return grouped(
            (
                wording.own(area.town) if area.town else "",
                wording.dot.join(
                    (wording.own(area.name), wording.own(area.lead.name), load(area.lead.lead_id))
                ),
                area.area_id,
            )
            for area in network.areas.values()
            if area.lead
        )

    async def _candidates(
        self, network: Network, case: Case, words: Sequence[str | None]
    ) -> list[dict[str, Any]]:
        """Who could take a case: the leads of the closest areas, or of those that it names."""
        if not case.is_open:
            return []
        areas: list[tuple[Area, float | None]] = (
            [(area, None) for area in named_in(words, network.areas.values(), CANDIDATES)]
            if case.position is None
            else [*network.nearest(case.position, CANDIDATES)]
        )
        leads = [area.lead.lead_id for area, _ in areas if area.lead]
        open_cases = await self._service.open_counts(leads)
        return [
            {"area": area, "metres": metres, "open": open_cases.get(area.lead.lead_id, 0)}
            for area, metres in areas
            if area.lead and area.area_id != case.area_id
        ]


def _exactness(case: Case, said: ReportText | None) -> dict[str, Any]:
    """How far off the place may be, where that is too far for a point on a map, and whether it is
    exact enough to be led to: not while nobody can tell."""
    metres = case.accuracy_metres
    if metres is None and said is not None:
        metres = said.accuracy_metres
    rough = metres if metres is not None and metres >= ROUGH_METRES else None
    known = case.accuracy_metres is not None or said is not None
    return {"within_metres": rough, "way": case.position is not None and known and rough is None}


def area_names(network: Network, wording: Wording) -> dict[str, str]:
    """What the areas are called, by id."""
    return {area_id: wording.own(area.name) for area_id, area in network.areas.items()}


def leads_by_area(network: Network, wording: Wording) -> dict[str, str]:
    """What the leads of the areas are called, by the area's id."""
    return {
        area_id: wording.own(area.lead.name) for area_id, area in network.areas.items() if area.lead
    }


def lead_names(network: Network, steps: Iterable[Step], wording: Wording) -> dict[str, str]:
    """The leads by id: as they were called when they got the case, and of all areas now."""
    assigned = (step.event.lead for step in steps if isinstance(step.event, Assignment))
    current = (area.lead for area in network.areas.values() if area.lead)
    return {lead.lead_id: wording.own(lead.name) for lead in (*assigned, *current)}
