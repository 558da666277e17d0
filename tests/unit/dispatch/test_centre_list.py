"""The centre's list says once how many cases a view has, where somebody has counted them."""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import pytest
from fastapi import Request
from starlette.testclient import TestClient
from tests.unit.dispatch.staff_pages import PAGES, Hold, Host, Likely, Service, Vault, person
from tests.unit.web.conftest import guarded_app

from lastmetre.common.categories import Categories
from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.security.callers import Role
from lastmetre.dispatch.application.case_list import CasePage
from lastmetre.dispatch.application.show_cases import ShowCases
from lastmetre.dispatch.domain.case_filter import ViewName
from lastmetre.dispatch.domain.held_actions import HeldAction
from lastmetre.dispatch.entrypoints.web.case_view import CaseView
from lastmetre.dispatch.entrypoints.web.centre import CentrePages, ListQuery


class Cases:
    """A list without a row, of which somebody may have counted the cases."""

    def __init__(self, total: int | None) -> None:
        self._total = total

    async def page(self, *_: object) -> CasePage:
        return CasePage([], self._total, more=False)

    async def counts(self) -> dict[ViewName, int]:
        return {"waiting": 7}

    async def kinds(self) -> Sequence[UUID]:
        return []


class NothingRefused(Hold):
    """Nothing waits to be seen, either."""

    async def refused_of(self, _: str) -> list[HeldAction]:
        return []


@pytest.mark.parametrize(
    ("view", "total", "chip"),
    [("open", 1570, ">Open 1,570</a>"), ("closed", None, ">Closed or cancelled </a>")],
)
def test_a_view_whether_it_was_counted_or_not(view: ViewName, total: int | None, chip: str) -> None:
    hold, categories = cast("Any", NothingRefused()), Categories([])
    service, host = cast("Any", Service()), cast("Any", Host)
    show = ShowCases(
        service, hold, cast("Any", Vault()), cast("Any", None), categories, cast("Any", Likely())
    )
    centre = CentrePages(
        host, service, cast("Any", Cases(total)), hold,
        CaseView(host, show, PAGES, categories, chosen_from=0.7), PAGES, categories,
    )  # fmt: skip
    app = guarded_app()

    @app.get("/centre/list", dependencies=allow(Anyone()))
    async def page(request: Request) -> object:
        return await centre.list(request, person(Role.OPERATOR), "/centre", ListQuery(view=view))

    answer = TestClient(app).get("/centre/list", headers={"Accept-Language": "en"})
    assert answer.status_code == 200
    assert chip in answer.text
    assert ">To assign 7</a>" in answer.text
