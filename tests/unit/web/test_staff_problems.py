"""An error on a page of staff leads back to their pages, not to the residents' (A24)."""

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.web import problems
from lastmetre.common.web.problems import Problem
from tests.unit.web.conftest import MakePages, guarded_app


@pytest.fixture
def client(make_pages: MakePages) -> TestClient:
    app: FastAPI = guarded_app()

    @app.get("/{page}/{status}", dependencies=allow(Anyone()))
    async def refuse(request: Request, page: str, status: int) -> None:
        kind = "/problems/not-your-case" if page == "cases" else "about:blank"
        raise Problem(status, kind, "There is no such case")

    pages = make_pages({"locale/zh/LC_MESSAGES/messages.po": ""})
    problems.install(app, pages)
    return TestClient(app)


@pytest.mark.parametrize(
    ("page", "home"),
    [
        ("work", "/work"),
        ("centre", "/centre"),
        ("cases", "/work"),
        ("board", "/board"),
        ("messages", "/messages/log"),
    ],
)
def test_staff_are_led_back(client: TestClient, page: str, home: str) -> None:
    answer = client.get(f"/{page}/404", headers={"Accept": "text/html", "Accept-Language": "en"})
    assert answer.status_code == 404
    assert f'<a href="{home}">Back to your pages</a>' in answer.text
    assert "/report" not in answer.text


def test_whoever_is_not_signed_in_is_led_nowhere(client: TestClient) -> None:
    answer = client.get("/work/401", headers={"Accept": "text/html", "Accept-Language": "en"})
    assert "Back to your pages" not in answer.text
    assert "Open it by the link you were given" in answer.text


def test_residents_have_their_own_page(client: TestClient) -> None:
    answer = client.get("/progress/404", headers={"Accept": "text/html", "Accept-Language": "en"})
    assert "Back to your pages" not in answer.text
