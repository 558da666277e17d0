"""What every resident's page has: whom to call, and a form that a change of language keeps."""

import re

import pytest
from fastapi import FastAPI, Request
from starlette.testclient import TestClient

from lastmetre.common.web.forms import Form
from tests.unit.web.conftest import MakePages

TEMPLATE = """{% extends "kit/resident.html" %}{% import "kit/macros.html" as kit %}
{% import "kit/forms.html" as fields %}{% block title %}T{% endblock %}
{% block language %}{{ kit.language_button(page, "the-form", "push") }}{% endblock %}
{% block main %}<form id="the-form" method="post">{{ fields.text(form, "text", "Words") }}
{{ fields.stars(form, "score", "Stars", ["1st", "2nd", "3rd", "4th", "5th"]) }}
{{ fields.submit("Send") }}</form>{{ kit.live("Live", lost="Lost") }}{% endblock %}"""


@pytest.fixture
def page(make_pages: MakePages) -> str:
    """The page in English, as it was asked for with a query."""
    pages = make_pages({"entrypoints/web/templates/page.html": TEMPLATE})
    app = FastAPI(openapi_url=None)

    @app.get("/page")
    async def show(request: Request) -> object:
        form = Form({"text": "the lamp", "score": "4"})
        return pages.render(request, "page.html", {"form": form})

    return str(TestClient(app).get("/page?lang=en&part=1").text)


def test_a3_emergency_numbers_come_first_and_can_be_tapped(page: str) -> None:
    assert re.findall(r'href="tel:(\d+)">\1</a>', page) == ["110", "119", "120", "12345"]


def test_a5_another_language_sends_along_what_was_typed(page: str) -> None:
    buttons = re.findall(r"<button[^>]*>", page)
    enter, language, send = buttons
    # Enter in a field presses the form's first button, which must be one that sends.
    assert 'form="the-form"' in enter
    assert "formaction" not in enter
    assert 'tabindex="-1"' in enter
    assert 'form="the-form"' in language
    assert 'formaction="?part=1&amp;lang=zh"' in language
    assert 'name="redisplay"' in language
    assert "name=" not in send


def test_a26_without_script_a_page_says_how_it_is_brought_up_to_date(page: str) -> None:
    assert '<noscript><a class="no-print" href="">Load the page again' in page


def test_stars_are_words_and_as_many_outlines(page: str) -> None:
    labels = re.findall(r'<label class="star">(.*?)</label>', page)
    assert [each.count("<svg") for each in labels] == [1, 2, 3, 4, 5]
    assert [" checked" in each for each in labels] == [False, False, False, True, False]
    assert "5th" in labels[4]
