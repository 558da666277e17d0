import json
import logging
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.web import problems
from lastmetre.common.web.problems import Problem, field_errors
from lastmetre.common.web.words import N_
from tests.unit.web.conftest import MakePages, guarded_app

PHONE = "13800138000"


class Contact(BaseModel):
    phone: Annotated[str, Field(max_length=5)]
    age: int


class Report(BaseModel):
    model_config = {"extra": "forbid"}

    contact: Contact


def add_routes(app: FastAPI) -> None:
    @app.post("/reports", dependencies=allow(Anyone()))
    async def take(report: Report) -> None: ...

    @app.get("/taken", dependencies=allow(Anyone()))
    async def taken() -> None:
        raise Problem(
            409,
            "/problems/taken",
            N_("Somebody else has it"),
            N_("It is 100%% with %(name)s."),
            extra={"name": "L017"},
            headers={"Retry-After": "5"},
        )

    @app.get("/broken/{secret}", dependencies=allow(Anyone()))
    async def broken(secret: str) -> None:
        raise RuntimeError(f"duplicate key: phone {PHONE}, {secret}")

    @app.get("/half", dependencies=allow(Anyone()))
    async def half() -> StreamingResponse:
        async def body() -> Any:
            yield b"first"
            raise RuntimeError(PHONE)

        return StreamingResponse(body())


@pytest.fixture
def client(make_pages: MakePages) -> TestClient:
    app = guarded_app()
    add_routes(app)
    pages = make_pages({})
    pages.mount(app)
    problems.install(app, pages)
    return TestClient(app)


HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Language": "en"}


def test_a_problem_is_a_document(client: TestClient) -> None:
    answer = client.get("/taken")
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {
        "type": "/problems/taken",
        "title": "Somebody else has it",
        "status": 409,
        "detail": "It is 100% with L017.",
        "name": "L017",
    }


def test_a_problem_is_a_page_for_whoever_prefers_one(client: TestClient) -> None:
    answer = client.get("/taken", headers=HTML)
    assert answer.status_code == 409
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["retry-after"] == "5"
    assert "<h1>Somebody else has it</h1>" in answer.text
    assert "It is 100% with L017." in answer.text


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("*/*", False),
        ("", False),
        ("text/html", True),
        ("application/json", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html, application/json;q=0.9", True),
        ("application/problem+json, text/html", False),
        ("text/html;q=0", False),
        ("TEXT/HTML", True),
        ("text/html;q=high", False),
    ],
)
def test_accept_decides_between_page_and_document(
    client: TestClient, accept: str, page: bool
) -> None:
    answer = client.get("/taken", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/html") is page


def test_the_ordinary_refusals_are_problems_too(client: TestClient) -> None:
    missing = client.get("/nowhere")
    assert (missing.status_code, missing.json()["title"]) == (404, "There is nothing here")
    wrong = client.get("/reports")
    assert (wrong.status_code, wrong.json()["type"]) == (405, "about:blank")
    assert wrong.headers["allow"] == "POST"
    page = client.get("/nowhere", headers=HTML | {"Accept-Language": "zh"})
    assert "没有找到这个页面" in page.text


def test_an_invalid_request_names_the_fields_and_repeats_no_value(client: TestClient) -> None:
    body = {"contact": {"phone": PHONE, "age": "Zhang San"}, "a/b~c": "secret"}
    answer = client.post("/reports", json=body)
    assert answer.status_code == 422
    errors = {error["pointer"]: error["message"] for error in answer.json()["errors"]}
    assert errors == {
        "/contact/phone": "String should have at most 5 characters",
        "/contact/age": "Input should be a valid integer, unable to parse string as an integer",
        "/a~1b~0c": "Extra inputs are not permitted",
    }
    for secret in (PHONE, "Zhang San", "secret"):
        assert secret not in answer.text


def test_a_field_name_with_a_lone_surrogate_is_answered(client: TestClient) -> None:
    answer = client.post(
        "/reports",
        content=json.dumps({"contact": {}, "\ud800" * 300: 1}),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 422
    assert len(answer.content) < 2000


def _custom(value: str) -> str:
    raise PydanticCustomError("no_vehicle", "This is no number plate")


def _careless(value: str) -> str:
    raise ValueError(f"{value} is no number plate")


@pytest.mark.parametrize(
    ("kind", "value", "message"),
    [
        (Annotated[str, AfterValidator(_custom)], "x9", "This is no number plate"),
        (Annotated[str, AfterValidator(_careless)], "x9", "Value error"),
        (UUID, "zz", "Input should be a valid UUID"),
    ],
)
def test_what_may_quote_the_input_is_left_out_of_messages(
    kind: Any, value: str, message: str
) -> None:
    adapter = TypeAdapter[Any](kind)
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(value)
    assert field_errors(caught.value.errors()) == [{"pointer": "", "message": message}]


def test_of_very_many_errors_the_first_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(list[int]).validate_python(["x"] * 400)
    assert len(field_errors(caught.value.errors())) == 50


def test_what_nobody_foresaw_has_a_reference_and_is_logged_without_its_message(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/broken/verysecret")
    document = answer.json()
    assert answer.status_code == 500
    assert document["type"] == "/problems/unexpected"
    assert document["reference"] in document["detail"]
    what_is_known = (document["reference"], "RuntimeError", "/broken/{secret}", "test_problems.py")
    for known in what_is_known:
        assert known in caplog.text
    for secret in (PHONE, "verysecret"):
        assert secret not in caplog.text + answer.text
    assert answer.headers["x-content-type-options"] == "nosniff", "completed by the middleware"
    page = client.get("/broken/verysecret", headers=HTML)
    assert (page.status_code, PHONE in page.text) == (500, False)
    assert "tell us this reference" in page.text


def test_an_answer_that_breaks_halfway_stays_broken_and_is_logged(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/half")
    assert answer.content == b"first"
    assert "RuntimeError" in caplog.text
    assert PHONE not in caplog.text


def test_without_pages_everybody_gets_a_document() -> None:
    app = guarded_app()
    add_routes(app)
    problems.install(app)
    answer = TestClient(app).get("/taken", headers=HTML)
    assert answer.headers["content-type"] == "application/problem+json"
