from typing import Annotated

import pytest
from fastapi import Form as FormBody
from fastapi import Request
from starlette.testclient import TestClient

from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.web import problems
from lastmetre.common.web.forms import FORM_BYTES, Form, FormFields, Typed, grouped
from lastmetre.common.web.words import N_
from tests.unit.web.conftest import MakePages, guarded_app


class Fields(FormFields):
    phone: Typed = ""
    text: Typed = ""
    area: Typed = ""
    solved: Typed = ""
    score: Typed = ""


def test_choices_stand_in_their_groups_in_order() -> None:
    choices = [("West", "Mill", "3"), ("", "Outside", "9"), ("West", "Bridge", "7")]
    assert grouped(choices) == [
        ("", [("9", "Outside")]),
        ("West", [("7", "Bridge"), ("3", "Mill")]),
    ]


def test_the_first_thing_wrong_with_a_field_is_the_one_shown() -> None:
    form = Form({"text": "x" * 30})
    assert form.require("text", "missing") == "x" * 30
    assert form.require("place", "missing") == ""
    form.fail("text", "longer than %(most)s", most=20)
    form.fail("text", "something else")
    assert list(form.errors) == ["place", "text"]
    assert form.errors["text"].message == "longer than %(most)s"


TEMPLATE = """{% extends "kit/resident.html" %}{% import "kit/forms.html" as fields %}
{% block title %}x{% endblock %}{% block main %}{{ fields.error_summary(form) }}
{{ fields.text(form, "phone", "Phone", hint="Digits", attributes={"inputmode": "tel"}) }}
{{ fields.area(form, "text", "Text") }}
{{ fields.select(form, "area", "Area", [("", [("A1", "1")]), ("Town", [("A2", "2")])], blank="-") }}
{{ fields.radios(form, "solved", "Solved?", [("yes", "Yes"), ("no", "No")]) }}
{{ fields.stars(form, "score", "How?", ["a", "b", "c", "d", "e"]) }}{% endblock %}"""


@pytest.fixture
def client(make_pages: MakePages) -> TestClient:
    pages = make_pages({"entrypoints/web/templates/form.html": TEMPLATE})
    app = guarded_app()

    @app.post("/typed", dependencies=allow(Anyone()))
    async def typed(fields: Annotated[Fields, FormBody()]) -> dict[str, str]:
        return {name: value for name, value in Form.of(fields).values.items() if value}

    @app.post("/report", dependencies=allow(Anyone()), max_body_size=FORM_BYTES)
    async def take(request: Request, fields: Annotated[Fields, FormBody()]) -> object:
        form = Form.of(fields)
        form.require("place", N_("Tell us the place, or tap the map"))
        form.fail("phone", "At most %(most)s digits", most=11)
        return pages.render(request, "form.html", {"form": form}, 422)

    problems.install(app, pages)
    return TestClient(app)


def test_what_was_typed_stays_and_what_is_wrong_is_said_at_the_field(client: TestClient) -> None:
    typed = {
        "phone": '"><script>',
        "text": "</textarea>",
        "area": "A2",
        "solved": "no",
        "score": "4",
    }
    answer = client.post("/report", data=typed, headers={"Accept-Language": "en"})
    page = answer.text
    assert answer.status_code == 422
    assert "2 things to put right" in page
    assert '<a href="#f-phone">At most 11 digits</a>' in page
    assert 'value="&#34;&gt;&lt;script&gt;"' in page
    assert 'aria-describedby="f-phone-hint f-phone-error" aria-invalid="true"' in page
    assert 'inputmode="tel"' in page
    assert "&lt;/textarea&gt;</textarea>" in page
    assert '<option value="A2" selected>' in page
    assert 'value="no" checked' in page
    assert 'value="4" checked' in page
    assert page.count(" checked") == 2


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "values"),
    [
        (b"", {}),
        (b"area=1&score=&area=2", {"area": "2"}),
        (b"text=+%E8%B7%AF%E7%81%AF%0D%0A%09x+", {"text": "路灯\n\tx"}),
        (b"text=a%00b%07c%7Fd", {"text": "abcd"}),
        (b"text=%ED%A0%80%FF", {"text": "\ufffd\ufffd\ufffd\ufffd"}),
        (b"=&&&nobody-knows=1", {}),
    ],
)
def test_a_form_is_read_whatever_it_holds(
    client: TestClient, body: bytes, values: dict[str, str]
) -> None:
    assert client.post("/typed", content=body, headers=FORM).json() == values


def test_another_body_is_an_empty_form(client: TestClient) -> None:
    assert client.post("/typed", json={"text": "x"}).json() == {}


@pytest.mark.parametrize("declared", [True, False])
def test_too_large_ones_are_refused(client: TestClient, declared: bool) -> None:
    body = b"text=" + b"x" * 70_000
    answer = client.post("/report", content=body if declared else iter([body]), headers=FORM)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too-large")
