"""`/work`: a lead's open cases, danger first."""

from typing import Any, Final

from fastapi import Request
from starlette.responses import Response

from lastmetre.common.contracts.requests import Action
from lastmetre.common.security.callers import Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.words import N_
from lastmetre.dispatch.application.case_list import version_of
from lastmetre.dispatch.application.case_service import CaseService
from lastmetre.dispatch.application.execute_commands import Outcome
from lastmetre.dispatch.application.hold_actions import HoldActions
from lastmetre.dispatch.entrypoints.web.case_view import CaseView
from lastmetre.dispatch.entrypoints.web.notices import notice_of
from lastmetre.dispatch.entrypoints.web.sketch import lead_map

ROWS: Final = 200
MAP: Final = N_("Sketch of the area; its numbers match the list")
OVER: Final = (Action.RESOLVE, Action.RETURN)
"""What takes a case from the list as soon as it is decided."""


class Worklist:
    """Renders it, whole or the list alone."""

    def __init__(
        self,
        host: ServiceHost,
        service: CaseService,
        view: CaseView,
        hold: HoldActions,
        pages: Pages,
    ) -> None:
        self._host = host
        self._service = service
        self._view = view
        self._hold = hold
        self._pages = pages

    async def page(
        self, request: Request, person: Person, outcome: Outcome | None = None, status: int = 200
    ) -> Response:
        """With the map, and beside its row why something was not done."""
        context = await self._context(person, request)
        return self._pages.render(
            request, "work.html", context | {"notice": notice_of(outcome)}, status
        )

    async def rows(self, request: Request, person: Person) -> Response:
        """The list alone."""
        context = await self._context(person, request)
        return self._pages.render(request, "_rows.html", context | {"notice": None})

    async def version(self, person: Person) -> str:
        """Another one as soon as the list is another."""
        cases, _ = await self._service.worklist(person.lead_id or "", ROWS)
        held = await self._hold.of_cases([case.case_id for case in cases])
        return version_of(cases, [each.action_id for each in held.values()])

    async def _context(self, person: Person, request: Request) -> dict[str, Any]:
        """Danger first, then what was not solved the first time, then what waits longest."""
        language = self._pages.language_of(request)
        cases, total = await self._service.worklist(person.lead_id or "", ROWS)
        held = await self._hold.of_cases([case.case_id for case in cases])
        ratings = await self._service.last_ratings([c.case_id for c in cases if c.closings])
        rows = await self._view.rows(cases, language)
        rows.sort(
            key=lambda row: (
                not row["urgent"],
                not row["case"].closings,
                row["case"].reported_at,
                row["case"].case_id,
            )
        )
        todo = [
            row
            for row in rows
            if (asked := held.get(row["case"].case_id)) is None or asked.request.action not in OVER
        ]
        network = await self._service.network()
        mine = [
            area
            for area in network.areas.values()
            if area.lead and area.lead.lead_id == person.lead_id
        ]
        own = self._pages.wordings[language].own
        return {
            "rows": todo,
            "held": [each for each in held.values() if each.request.action in OVER],
            "refused": await self._hold.refused_of(person.lead_id or ""),
            "ratings": ratings,
            "total": total,
            "version": version_of(cases, [each.action_id for each in held.values()]),
            "areas": mine,
            "area_names": {area.area_id: own(area.name) for area in mine},
            "lead": mine[0].lead if mine else None,
            "drawing": lead_map(
                network,
                mine,
                [(row["case"], row["urgent"], row["within_metres"]) for row in todo],
                language,
                self._pages.translations[language].gettext(MAP),
                self._pages.wordings[language].distance,
            ),
            "now": self._host.clock.now(),
        }
