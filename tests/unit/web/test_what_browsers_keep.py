"""What browsers keep of pages, and by which way they come back."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from lastmetre.common.web.headers import SecurityHeaders
from lastmetre.common.web.kit import cache_control


@pytest.mark.parametrize(
    "path",
    ["/progress/ds4g", "/report/sent/ds4g", "/work", "/centre", "/cases/261122-0418583", "/rate/x",
     "/messages/log"],
)  # fmt: skip
def test_of_pages_with_personal_data_nothing(path: str) -> None:
    assert cache_control(path) == "no-store"


@pytest.mark.parametrize("path", ["/report", "/progress", "/board", "/board/how"])
def test_of_others_a_copy_that_is_asked_about(path: str) -> None:
    assert cache_control(path) == "private, no-cache"


def test_who_came_by_tls_comes_back_by_tls() -> None:
    app = FastAPI()
    app.add_middleware(SecurityHeaders)
    name = "strict-transport-security"
    assert name not in TestClient(app, base_url="http://city.example").get("/").headers
    answer = TestClient(app, base_url="https://city.example").get("/")
    assert answer.headers[name] == "max-age=31536000"
