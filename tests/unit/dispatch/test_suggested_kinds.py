"""The centre is offered what a report's words may be about, if nobody has said it."""

import re
from typing import Any, cast

import pytest
from fastapi import Request
from starlette.testclient import TestClient
from tests.unit.dispatch.staff_pages import (
    OPERATOR,
    PAGES,
    Hold,
    Host,
    Likely,
    Messages,
    Service,
    Vault,
    case_after,
    person,
    steps,
)
from tests.unit.web.conftest import guarded_app

from lastmetre.common.categories import UNKNOWN, Categories, Category
from lastmetre.common.contracts.cases import CategoryChanged, LocalName
from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.security.callers import Role
from lastmetre.dispatch.application.show_cases import ShowCases
from lastmetre.dispatch.entrypoints.web.case_view import CaseView

LAMP = Category(code="part:01037", name=LocalName(zh="路灯", en="Street lamp"))
BIN = Category(code="part:03005", name=LocalName(zh="垃圾箱", en="Litter bin"))
CABLE = Category(code="matter:10002", name=LocalName(zh="架空线缆脱落", en="Fallen overhead cable"))


async def page(category: str, role: Role, *, chosen_from: float = 0.5) -> str:
    """The page of a case of that category whose reporter said 路灯不亮."""
    ledger = steps(
        (CategoryChanged, OPERATOR,
         {"category": category, "previous_category": "x", "reason": "said_in_report"}),
    )  # fmt: skip
    categories = Categories([BIN, LAMP, CABLE])
    show = ShowCases(
        cast("Any", Service()), cast("Any", Hold()), cast("Any", Vault()),
        cast("Any", Messages(None)), categories, cast("Any", Likely()),
    )  # fmt: skip
    view = CaseView(cast("Any", Host), show, PAGES, categories, chosen_from=chosen_from)
    context = await view.one(case_after(ledger), ledger, person(role), "en")
    context |= {"notice": None, "base": "", "number": ""}
    app = guarded_app()

    @app.get("/cases/page", dependencies=allow(Anyone()))
    async def show_page(request: Request) -> object:
        return PAGES.render(request, "case.html", context)

    client = TestClient(app)
    return str(client.get("/cases/page", headers={"Accept-Language": "en"}).text)


@pytest.mark.parametrize(("chosen_from", "chosen"), [(0.5, True), (0.99, False)])
async def test_the_words_lead_to_a_kind_that_a_person_confirms(
    chosen_from: float, chosen: bool
) -> None:
    shown = await page(UNKNOWN, Role.OPERATOR, chosen_from=chosen_from)
    (form,) = re.findall(
        r"<form[^>]*>(?:(?!</form>).)*Its words suggest.*?</form>", shown, re.DOTALL
    )
    assert 'name="action" value="change_category"' in form
    assert 'name="correction_reason" value="said_in_report"' in form
    assert 'name="expected_seq" value="2"' in form
    (offered,) = re.findall(r'<input type="radio" name="category" value="([^"]*)"', form)
    assert offered == "part:01037"
    assert (" checked" in form) is chosen
    assert '<span class="nm">Street lamp</span><span class="sub" lang="">路灯</span>' in form
    assert re.search(r"<b>\d\d%</b>likely", form)


@pytest.mark.parametrize(
    ("category", "role"), [("part:03005", Role.OPERATOR), (UNKNOWN, Role.SUPERVISOR)]
)
async def test_what_is_known_and_who_only_looks_are_offered_nothing(
    category: str, role: Role
) -> None:
    assert "Its words suggest" not in await page(category, role)


@pytest.mark.parametrize(("category", "first"), [("matter:10002", True), ("part:01037", False)])
async def test_whoever_has_a_dangerous_case_before_him_sees_whom_to_call(
    category: str, first: bool
) -> None:
    shown = await page(category, Role.OPERATOR)
    assert ('href="tel:119"' in shown) is first
