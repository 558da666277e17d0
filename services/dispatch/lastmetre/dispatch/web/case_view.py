"""A case as staff see it: what was reported, who has it, what was said at each step."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from lastmetre.common.categories import Categories
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import Assignment, CaseReturned
from lastmetre.common.contracts.vault import ContactInFull
from lastmetre.common.security.callers import Person, Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.forms import grouped
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.languages import Language
from lastmetre.common.web.wording import Wording
from lastmetre.common.web.words import N_
from lastmetre.dispatch.adapters.case_messages import CaseMessagesClient
from lastmetre.dispatch.adapters.postgres.ledger import Step
from lastmetre.dispatch.adapters.vault import VaultClient
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.web.sketch import case_map

CANDIDATES: Final = 3
AROUND: Final = N_("Sketch of the place and the areas around it")
OPERATORS: Final = frozenset({Role.OPERATOR, Role.ADMINISTRATOR})
CENTRE: Final = OPERATORS | {Role.SUPERVISOR}


class CaseView:
    """What the templates show of cases."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        vault: VaultClient,
        messages: CaseMessagesClient,
        pages: Pages,
        categories: Categories,
    ) -> None:
        self._host = host
        self._service = service
        self._vault = vault
        self._messages = messages
        self._pages = pages
        self._categories = categories

    async def rows(self, cases: Sequence[Case], language: str) -> list[dict[str, Any]]:
        """Cases with their words, as the templates show them."""
        texts = await self._vault.texts([each for case in cases for each in case.report_ids])
        return [
            {
                "case": case,
                "category": getattr(self._categories.name(case.category), language),
                "said": texts.get(case.report_id),
                "merged": [texts.get(each) for each in case.merged],
            }
            for case in cases
        ]

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
        return {
            "row": (await self.rows([case], language))[0],
            "steps": steps,
            "role": person.role.value,
            "operates": person.role in OPERATORS,
            "has_it": person.lead_id is not None and person.lead_id == case.lead_id,
            "sees_contact": may_see_contact(case, person),
            "contact": None,
            "messages": await self._messages.of(case.case_id) if at_the_centre else None,
            "area": network.areas.get(case.area_id or ""),
            "area_names": {
                area_id: wording.own(area.name) for area_id, area in network.areas.items()
            },
            "here": network.locate([case.position])[0],
            "drawing": case_map(network, case, language, label, wording.distance),
            "candidates": await self._candidates(network, case),
            "gave_back": {
                step.line.actor_id for step in steps if step.line.type == CaseReturned.TYPE
            },
            "areas": _choices(network, wording),
            "leads": lead_names(network, steps, wording),
            "now": self._host.clock.now(),
        }

    async def _candidates(self, network: Network, case: Case) -> list[dict[str, Any]]:
        """Who could take a case with a position: the leads of the closest areas."""
        if case.position is None or not case.is_open:
            return []
        nearest = network.nearest(case.position, CANDIDATES)
        leads = [area.lead.lead_id for area, _ in nearest if area.lead]
        open_cases = await self._service.open_counts(leads)
        return [
            {"area": area, "metres": metres, "open": open_cases.get(area.lead.lead_id, 0)}
            for area, metres in nearest
            if area.lead and area.area_id != case.area_id
        ]


def may_see(steps: Iterable[Step], person: Person) -> bool:
    """A lead sees the cases that he has or has had; others see all."""
    return person.lead_id is None or any(
        isinstance(step.event, Assignment) and step.event.lead.lead_id == person.lead_id
        for step in steps
    )


def may_see_contact(case: Case, person: Person) -> bool:
    """Whoever deals with the case: the command centre, and its lead while it is open."""
    if person.role in OPERATORS:
        return True
    return person.lead_id is not None and person.lead_id == case.lead_id and case.is_open


def lead_names(network: Network, steps: Iterable[Step], wording: Wording) -> dict[str, str]:
    """The leads by id: as they were called when they got the case, and of all areas now."""
    assigned = (step.event.lead for step in steps if isinstance(step.event, Assignment))
    current = (area.lead for area in network.areas.values() if area.lead)
    return {lead.lead_id: wording.own(lead.name) for lead in (*assigned, *current)}


def _choices(network: Network, wording: Wording) -> list[tuple[str, list[tuple[str, str]]]]:
    """The areas that somebody answers for by their town, as (id, area · lead)."""
    return grouped(
        (
            wording.own(area.town) if area.town else "",
            wording.own(area.name) + wording.dot + wording.own(area.lead.name),
            area.area_id,
        )
        for area in network.areas.values()
        if area.lead
    )
