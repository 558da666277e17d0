"""What the templates show of cases, in the reader's language."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from lastmetre.common.categories import Categories
from lastmetre.common.category_suggestions import CategorySuggestion
from lastmetre.common.contracts.case_model import Case
from lastmetre.common.contracts.cases import (
    Assignment,
    CaseRegistered,
    CaseUnplaced,
    CategoryChanged,
)
from lastmetre.common.contracts.place_in_words import PlaceInWords
from lastmetre.common.security.callers import OPERATORS, Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.forms import grouped
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.languages import Language
from lastmetre.common.web.wording import Wording
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.case_list import state_of
from lastmetre.dispatch.application.show_cases import CaseInList, CaseShown, ShowCases
from lastmetre.dispatch.application.who_may_see import may_see_contact, may_see_notes
from lastmetre.dispatch.domain.ledger import Step
from lastmetre.dispatch.domain.network import Network
from lastmetre.dispatch.entrypoints.web.sketch import case_map

GAVE_BACK: Final = N_("gave it back")
OPEN: Final = "%(num)s open"
AROUND: Final = N_("Sketch of the place and the areas around it")


class CaseView:
    """Words cases for the templates."""

    def __init__(
        self,
        host: ServiceHost,
        show: ShowCases,
        pages: Pages,
        categories: Categories,
        *,
        chosen_from: float,
    ) -> None:
        """`chosen_from`: from which confidence on a suggested kind is chosen beforehand."""
        self._host = host
        self._show = show
        self._pages = pages
        self._categories = categories
        self._chosen_from = chosen_from

    async def rows(self, cases: Sequence[Case], language: Language) -> list[dict[str, Any]]:
        """Cases of a list."""
        return [self._row(each, language) for each in await self._show.in_list(cases)]

    def _row(self, shown: CaseInList, language: Language) -> dict[str, Any]:
        own = self._pages.wordings[language].own
        return shown._asdict() | {"category": own(self._categories.name(shown.case.category))}

    async def one(
        self, case: Case, steps: Sequence[Step], person: Person, language: Language
    ) -> dict[str, Any]:
        """A case with all that happened to it, its surroundings, and what `person` can do."""
        shown = await self._show(case, steps, person)
        network, wording = shown.network, self._pages.wordings[language]
        return {
            "row": self._row(shown.row, language),
            "steps": steps,
            "role": person.role.value,
            "actor": person.lead_id or person.subject,
            "operates": person.role in OPERATORS,
            "has_it": person.lead_id is not None and person.lead_id == case.lead_id,
            "sees_contact": may_see_contact(case, person),
            "contact": None,
            "held": shown.held,
            "case_state": state_of(case, shown.held),
            "messages": shown.messages,
            "area": network.areas.get(case.area_id or ""),
            "area_names": area_names(network, wording),
            "here": shown.here,
            "found_in_words": found_in_words(steps),
            "possible_areas": possible_areas(steps, network, wording),
            "drawing": case_map(
                network,
                case,
                shown.row.within_metres,
                language,
                self._pages.translations[language].gettext(AROUND),
                wording.distance,
                pick=person.role in OPERATORS and case.is_open,
            ),
            "candidates": shown.candidates,
            "gave_back": shown.gave_back,
            "lead_of_area": leads_by_area(network, wording),
            "areas": self._choices(shown, language),
            "leads": lead_names(network, steps, wording),
            "kinds": self._kinds(case, steps, wording),
            "suggested_kinds": [self._suggested(each, wording) for each in shown.kinds],
            "sees_notes": may_see_notes(case, person),
            "notes": shown.notes,
            "likely": shown.likely,
            "joined": shown.joined,
            "numbers": shown.numbers,
            "now": self._host.clock.now(),
        }

    def _suggested(self, kind: CategorySuggestion, wording: Wording) -> dict[str, Any]:
        name = wording.own(self._categories.name(kind.code))
        return kind._asdict() | {"name": name, "chosen": kind.confidence >= self._chosen_from}

    def _kinds(self, case: Case, steps: Iterable[Step], wording: Wording) -> dict[str, str]:
        """The names of the city's categories, and of those that the case has had, by code."""
        had = {case.category}
        for step in steps:
            if isinstance(step.event, CategoryChanged):
                had |= {step.event.previous_category, step.event.category}
        codes = [*self._categories, *sorted(had - set(self._categories))]
        return {code: wording.own(self._categories.name(code)) for code in codes}

    def _choices(
        self, shown: CaseShown, language: Language
    ) -> Sequence[tuple[str, Sequence[tuple[str, str]]]]:
        """The areas that somebody answers for by their town, as (id, area · lead · how much he has
        to do, or that he gave it back)."""
        wording = self._pages.wordings[language]
        translations = self._pages.translations[language]

        def load(lead_id: str) -> str:
            if lead_id in shown.gave_back:
                return str(translations.ugettext(GAVE_BACK))
            count = shown.open_cases.get(lead_id, 0)
            return str(translations.ungettext(OPEN, OPEN, count)) % {"num": wording.number(count)}

        return grouped(
            (
                wording.own(area.town) if area.town else "",
                wording.dot.join(
                    (wording.own(area.name), wording.own(area.lead.name), load(area.lead.lead_id))
                ),
                area.area_id,
            )
            for area in shown.network.areas.values()
            if area.lead
        )


def area_names(network: Network, wording: Wording) -> dict[str, str]:
    """What the areas are called, by id."""
    return {area_id: wording.own(area.name) for area_id, area in network.areas.items()}


def found_in_words(steps: Sequence[Step]) -> PlaceInWords | None:
    """What the words of the case's first report say about where it is."""
    first = steps[0].event if steps else None
    return first.place_in_words if isinstance(first, CaseRegistered) else None


def possible_areas(steps: Sequence[Step], network: Network, wording: Wording) -> list[str]:
    """The areas that its place may lie in, if it waits because these have several leads."""
    unplaced = [each.event for each in steps if isinstance(each.event, CaseUnplaced)]
    names = area_names(network, wording)
    return [names.get(each, each) for each in unplaced[-1].area_ids] if unplaced else []


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
