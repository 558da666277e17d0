"""`/centre` for operators and `/cases` for all who watch: the list of cases, and one beside it."""

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from lastmetre.common.categories import Categories
from lastmetre.common.security.callers import Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.languages import Language
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.case_list import (
    PAGE_ROWS,
    SEARCHED_AT_ONCE,
    CaseList,
    CasePage,
    Searched,
    version_of,
)
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.application.hold_actions import HoldActions
from lastmetre.dispatch.domain.case_filter import CaseFilter, ViewName
from lastmetre.dispatch.domain.held_actions import HeldAction
from lastmetre.dispatch.entrypoints.web.case_view import CaseView, area_names, leads_by_area
from lastmetre.dispatch.entrypoints.web.notices import notice_of

VIEWS: tuple[ViewName, ...] = ("waiting", "unaccepted", "open", "closed")
Choice = Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]
PAGES: str = N_("%(first)s to %(last)s of %(total)s")
PAGES_UNCOUNTED: str = N_("%(first)s to %(last)s")


class ListQuery(BaseModel):
    """What the address asks of the list; empty is everything."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    view: ViewName = "waiting"
    area: Choice = ""
    lead: Choice = ""
    kind: Choice = ""
    channel: Choice = ""
    words: Choice = ""
    number: str = ""
    case: str = ""
    page: int = Field(default=1, ge=1, le=10_000)
    searched: int = Field(default=0, ge=0, le=10_000_000)
    """Words are looked for behind so many cases of the view."""

    @property
    def filter(self) -> CaseFilter:
        """The same for the database."""
        chosen = (self.area, self.lead, self.kind, self.channel)
        return CaseFilter(self.view, *(each or None for each in chosen))

    def query(self, **changes: object) -> str:
        """The address's query with something else chosen; another page, or other cases that are
        searched, only if it says so."""
        kept = self.model_dump(exclude={"page", "searched", "number", "case"}) | changes
        return urlencode({name: value for name, value in kept.items() if value})

    def on_page(self, page: int) -> str:
        """The query of that page of the same list."""
        return self.query(page=page if page > 1 else None, searched=self.searched)

    @property
    def chosen(self) -> str | None:
        """The case that was asked for, by the number that was typed or in the list."""
        return self.number.strip()[:40] or self.case or None

    @property
    def filtered(self) -> bool:
        """Whether anything but the view is chosen."""
        return any((self.area, self.lead, self.kind, self.channel, self.words))


class CentrePages:
    """The list of cases with one of them, and either alone for what changes on the page."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        cases: CaseList,
        hold: HoldActions,
        view: CaseView,
        pages: Pages,
        categories: Categories,
    ) -> None:
        self._host = host
        self._service = service
        self._cases = cases
        self._hold = hold
        self._view = view
        self._pages = pages
        self._categories = categories

    async def page(
        self,
        request: Request,
        person: Person,
        base: str,
        asked: ListQuery,
        number: str | None = None,
        outcome: Outcome | None = None,
        status: int = 200,
    ) -> Response:
        """Both; the case that was asked for, or the first of the list."""
        page = await self._found(asked)
        number = number or asked.chosen
        first = page.cases[0].number if page.cases else None
        found = await self._service.case_with_steps_known_as(number or first)
        context = await self._list(request, person, base, asked, page)
        context |= {
            "notice": notice_of(outcome),
            "number": "" if found else number or "",
            "not_found": number is not None and found is None,
            "chosen": found is not None and number is not None,
            "row": None,
            "current": found[0].number if found else "",
        }
        if found:
            language = self._pages.language_of(request)
            context |= await self._view.one(*found, person, language)
        return self._pages.render(request, "centre.html", context, status)

    async def _found(self, asked: ListQuery) -> CasePage:
        return await self._cases.page(asked.filter, asked.words, asked.page, asked.searched)

    async def list(self, request: Request, person: Person, base: str, asked: ListQuery) -> Response:
        """The list alone."""
        page = await self._found(asked)
        context = await self._list(request, person, base, asked, page)
        context |= {"not_found": False, "current": asked.case}
        return self._pages.render(request, "_list.html", context)

    async def panes(
        self,
        request: Request,
        person: Person,
        base: str,
        known_as: str | None,
        *,
        outcome: Outcome | None = None,
        told: HeldAction | None = None,
        taken_back: bool = False,
        status: int = 200,
    ) -> Response:
        """The case alone, with what has just been asked for, refused or taken back."""
        language = self._pages.language_of(request)
        found = await self._service.case_with_steps_known_as(known_as)
        context: dict[str, Any] = {
            "base": base,
            "row": None,
            "notice": notice_of(outcome),
            "taken_back": taken_back,
            "told": told,
            "now": self._host.clock.now(),
        }
        if told is not None:
            context |= await self._names(language)
        if found:
            context |= await self._view.one(*found, person, language)
        return self._pages.render(request, "_chosen.html", context, status)

    async def _names(self, language: Language) -> dict[str, Any]:
        network = await self._service.network()
        wording = self._pages.wordings[language]
        return {
            "told_area_names": area_names(network, wording),
            "told_lead_of_area": leads_by_area(network, wording),
        }

    async def version(self, asked: ListQuery) -> str:
        """Another one as soon as that page of the list is another."""
        page = await self._found(asked)
        held = await self._hold.of_cases([case.case_id for case in page.cases])
        return version_of(page.cases, [each.action_id for each in held.values()])

    async def _list(
        self, request: Request, person: Person, base: str, asked: ListQuery, page: CasePage
    ) -> dict[str, Any]:
        language = self._pages.language_of(request)
        wording = self._pages.wordings[language]
        network = await self._service.network()
        areas = network.areas.values()
        held = await self._hold.of_cases([case.case_id for case in page.cases])
        counts = await self._cases.counts()
        kinds = [(code, wording.own(self._categories.name(code)))
                 for code in await self._cases.kinds()]  # fmt: skip
        leads = {a.lead.lead_id: wording.own(a.lead.name) for a in areas if a.lead}
        return {
            "base": base,
            "role": person.role.value,
            "now": self._host.clock.now(),
            "rows": await self._view.rows(page.cases, language),
            "list": {
                **asked.model_dump(exclude={"number", "case"}),
                "query": asked.on_page(asked.page),
                "filtered": asked.filtered,
                "actor": person.lead_id or person.subject,
                "version": version_of(page.cases, [each.action_id for each in held.values()]),
                "total": "" if page.total is None else wording.number(page.total),
                "views": [(view, counts.get(view), asked.query(view=view)) for view in VIEWS],
                "areas": sorted(area_names(network, wording).items(), key=_words),
                "leads": sorted(leads.items(), key=_words),
                "kinds": sorted(kinds, key=_words),
                "held": held,
                "refused": await self._hold.refused_of(person.lead_id or person.subject),
                "searched": searched_words(base, asked, page.searched),
                "area_names": area_names(network, wording),
                "lead_of_area": leads_by_area(network, wording),
                "lead_names": leads,
                "previous": f"{base}?{asked.on_page(asked.page - 1)}" * (asked.page > 1),
                "next": f"{base}?{asked.on_page(asked.page + 1)}" * page.more,
                "page_words": self._page_words(language, asked, page),
            },
        }

    def _page_words(self, language: Language, asked: ListQuery, page: CasePage) -> str:
        translate = self._pages.translations[language].ugettext
        first = (asked.page - 1) * PAGE_ROWS + 1
        figures = {"first": first, "last": first + len(page.cases) - 1, "total": page.total}
        return str(translate(PAGES_UNCOUNTED if page.total is None else PAGES)) % figures


def _words(choice: tuple[str, str]) -> str:
    return choice[1]


def searched_words(base: str, asked: ListQuery, searched: Searched | None) -> dict[str, Any] | None:
    """Where words were looked for, where that is not all of the view, and where the rest is."""
    if searched is None or not (searched.start or searched.more or not searched.could_be_read):
        return None
    end = searched.start + searched.how_many
    before = max(searched.start - SEARCHED_AT_ONCE, 0)
    return {
        "could_be_read": searched.could_be_read,
        "first": searched.start + 1,
        "last": end,
        "next": f"{base}?{asked.query(searched=end)}" * searched.more,
        "previous": f"{base}?{asked.query(searched=before)}" * (searched.start > 0),
    }
