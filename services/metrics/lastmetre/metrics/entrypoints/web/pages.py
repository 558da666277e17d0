"""The board's pages: for staff, and for anyone how the figures come about."""

from collections.abc import AsyncIterator
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.sse import ServerSentEvent
from starlette.responses import Response

from lastmetre.common.security.access import Anyone, CurrentPerson, allow
from lastmetre.common.security.callers import CENTRE, Person, Role
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.live_changes import LiveChanges
from lastmetre.common.web.live_events import EVENTS, live_events
from lastmetre.common.web.openapi import page_router
from lastmetre.metrics.application.board import Board, Figures
from lastmetre.metrics.domain.curves import CURVES
from lastmetre.metrics.domain.indicators import FEW, WHOLE, Stage
from lastmetre.metrics.domain.periods import PeriodName
from lastmetre.metrics.entrypoints.web.names import CURVE_NAMES, PERIOD_NAMES
from lastmetre.metrics.entrypoints.web.view import BoardView

BOARD: Final = "board"
"""What pages wait for: all figures together."""
CurveName = Annotated[str, Query(pattern=f"^({'|'.join(CURVES)})$")]


class Choice:
    """What the address asks for: the period or the day, and the curve."""

    def __init__(
        self,
        period: PeriodName | None = None,
        day: date | None = None,
        curve: CurveName = WHOLE.name,
    ) -> None:
        # `period=day` says nothing without the date.
        self.period = None if period is PeriodName.DAY else period
        self.day = day
        self.curve = curve

    @property
    def stage(self) -> Stage:
        """What the curve is about."""
        return CURVES[self.curve]

    def query(self, **changes: str | None) -> str:
        """The address's query with something else chosen; a day and a period exclude each other."""
        chosen = {
            "period": self.period.value if self.period else None,
            "day": self.day.isoformat() if self.day else None,
            "curve": self.curve if self.curve != WHOLE.name else None,
        } | changes
        return urlencode({name: value for name, value in chosen.items() if value})


def board_router(board: Board, changes: LiveChanges[str], pages: Pages) -> APIRouter:
    """`/board`, what changes on it, `/board/wall` and `/board/how`."""
    router = page_router()

    async def figures_of(choice: Choice) -> Figures:
        return await board.figures(choice.period, choice.day, choice.stage)

    async def context(request: Request, person: Person, choice: Choice) -> dict[str, Any]:
        figures = await figures_of(choice)
        language = pages.language_of(request)
        wording = pages.wordings[language]
        view = BoardView(figures, wording, pages.translations[language])
        shown = None if choice.day else figures.period.name
        return view.context() | {
            "wall": request.url.path.endswith("/wall"),
            "role": person.role.value,
            "display": person.subject if person.role is Role.DISPLAY else None,
            "query": choice.query(),
            "periods": [
                (name, choice.query(period=each.value, day=None), each is shown)
                for each, name in PERIOD_NAMES.items()
            ],
            "curves": [
                (name, choice.query(curve=key), key == choice.curve)
                for key, name in CURVE_NAMES.items()
            ],
        }

    @router.get("/board", dependencies=allow(*CENTRE))
    async def board_page(
        request: Request, person: CurrentPerson, choice: Annotated[Choice, Depends()]
    ) -> Response:
        """The board."""
        return pages.render(request, "board.html", await context(request, person, choice))

    @router.get("/board/live", dependencies=allow(*CENTRE, Role.DISPLAY))
    async def board_live(
        request: Request, person: CurrentPerson, choice: Annotated[Choice, Depends()]
    ) -> Response:
        """The part of it that changes."""
        return pages.render(request, "live.html", await context(request, person, choice))

    @router.get("/board/events", dependencies=allow(*CENTRE, Role.DISPLAY), **EVENTS)
    async def board_events(
        request: Request, choice: Annotated[Choice, Depends()]
    ) -> AsyncIterator[ServerSentEvent]:
        """The version of that part, and the time as of which it is."""
        wording = pages.wordings[pages.language_of(request)]

        async def look(_: str) -> dict[str, str]:
            figures = await figures_of(choice)
            return {"version": figures.version, "as-of": wording.seconds(figures.now)}

        async for event in live_events(request, changes, BOARD, look):
            yield event

    @router.get("/board/wall", dependencies=allow(*CENTRE, Role.DISPLAY))
    async def board_wall(
        request: Request, person: CurrentPerson, choice: Annotated[Choice, Depends()]
    ) -> Response:
        """The board for a screen on a wall."""
        return pages.render(request, "board.html", await context(request, person, choice))

    @router.get("/board/how", dependencies=allow(Anyone()))
    async def board_how(request: Request) -> Response:
        """How the figures come about."""
        return pages.render(request, "how.html", {"few": FEW})

    return router
