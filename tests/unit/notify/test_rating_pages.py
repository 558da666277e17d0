"""The rating's pages: what is asked, what is sent, and what can still be said afterwards."""

import re
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.testclient import TestClient

from lastmetre.common.categories import Categories, Category
from lastmetre.common.contracts import cases
from lastmetre.common.contracts.cases import CaseState, LocalName
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks, rating_identity
from lastmetre.common.web import problems
from lastmetre.common.web.kit import Pages
from lastmetre.notify.application.ratings import Ratings
from lastmetre.notify.domain.case_projection import CaseProjection, apply, first
from lastmetre.notify.domain.ratings import Closing, Rating, Verdict, closing_of
from lastmetre.notify.entrypoints.web.rating_pages import RatingPages, rating_router
from tests.unit.notify.ledger import CASE, event, registered
from tests.unit.web.conftest import PUBLIC_URLS, guarded_app

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
LINKS = SignedLinks(b"k" * 32)
PATH = f"/rate/{LINKS.seal(LinkPurpose.RATE, rating_identity(CASE, 3))}"
PROGRESS = LINKS.seal(LinkPurpose.PROGRESS, b"twelve bytes")


class Said:
    """What was said so far, and what is said now."""

    def __init__(self, rating: Rating | None) -> None:
        self.rating = rating
        self.given: list[Verdict] = []
        self.reopened: list[Closing] = []
        case = apply(first(registered()), event(cases.CaseDispatched, 2), 0)
        self.case: CaseProjection = apply(case, event(cases.CaseClosed, 3), 0)

    def closing(self, token: str) -> Closing:
        closing = closing_of(LINKS.open(LinkPurpose.RATE, token))
        assert closing is not None
        return closing

    async def __call__(self, _: Closing) -> tuple[CaseProjection, Rating | None]:
        return self.case, self.rating

    async def give(self, _: Closing, verdict: Verdict) -> tuple[None, bool]:
        self.given.append(verdict)
        return None, True

    async def reopen(self, closing: Closing) -> None:
        self.reopened.append(closing)


def client_of(ratings: Said) -> TestClient:
    pages = Pages(
        "lastmetre.notify", static_path="/rate/static", time_zone="Asia/Shanghai",
        city_names={"zh": "云桥市", "en": "Yunqiao"}, public_urls=PUBLIC_URLS,
    )  # fmt: skip
    host = SimpleNamespace(
        links=LINKS,
        clock=SimpleNamespace(now=lambda: NOW),
        relay=SimpleNamespace(has_room=SimpleNamespace(is_set=lambda: True)),
    )
    rubbish = Category(code="06010", name=LocalName(zh="暴露垃圾", en="Exposed rubbish"))
    ratings.case = ratings.case._replace(category="06010")
    app = guarded_app()
    uses = Ratings(cast("Any", ratings), cast("Any", ratings.give), cast("Any", ratings.reopen))
    rating_pages = RatingPages(cast("Any", host), uses, pages, Categories([rubbish]))
    app.include_router(rating_router(rating_pages, pages))
    problems.install(app, pages)
    return TestClient(app, headers={"Accept-Language": "en"}, follow_redirects=False)


def said(solved: bool, **more: Any) -> Rating:
    return Rating(CASE, 3, Closing(CASE, 3).feedback_id, solved, 3, False, NOW, **more)


def test_a2_the_page_says_what_it_was_and_not_who_is_to_be_judged() -> None:
    page = client_of(Said(None)).get(PATH).text
    assert "261122-0418" in page
    assert "Exposed rubbish" in page
    assert "Li Min" not in page


@pytest.mark.parametrize(
    ("chosen", "verdict"),
    [
        ("yes", Verdict(True, 2, False)),
        ("no", Verdict(False, 2, True)),
        ("closed", Verdict(False, 2, False)),
    ],
)
def test_b9_not_solved_means_to_take_it_up_again(chosen: str, verdict: Verdict) -> None:
    ratings = Said(None)
    answer = client_of(ratings).post(PATH, data={"solved": chosen, "score": "2"})
    assert answer.status_code == 303
    assert ratings.given == [verdict]


def test_the_progress_page_says_beforehand_what_is_meant_and_is_led_back_to() -> None:
    client = client_of(Said(None))
    page = client.get(f"{PATH}?solved=no&progress={PROGRESS}").text
    assert re.findall(r'value="(\w+)" checked', page) == ["no"]
    assert f'href="https://city.example/progress/{PROGRESS}"' in page
    given = client.post(f"{PATH}?progress={PROGRESS}", data={"solved": "yes", "score": "5"})
    assert given.headers["location"] == f"{PATH}?progress={PROGRESS}"


@pytest.mark.parametrize("secret", ["", "abc", "//evil.example", PROGRESS[:-1] + "a"])
def test_only_our_own_progress_pages_are_linked(secret: str) -> None:
    assert (
        "/progress/"
        not in client_of(Said(None))
        .get(PATH, params={"progress": secret})
        .text.partition("<footer")[0]
    )


@pytest.mark.parametrize("solved", [True, False])
def test_b9_whoever_has_rated_can_still_have_it_taken_up_again(solved: bool) -> None:
    ratings = Said(said(solved))
    client = client_of(ratings)
    assert f'action="{PATH}/reopen"' in client.get(PATH).text
    answer = client.post(f"{PATH}/reopen?progress={PROGRESS}")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{PATH}?progress={PROGRESS}")
    assert ratings.reopened == [Closing(CASE, 3)]


def test_what_was_asked_already_or_is_open_again_is_not_offered() -> None:
    asked = said(False, reopening_id=Closing(CASE, 3).reopening_id)
    page = client_of(Said(asked)).get(PATH).text
    assert "You asked us to take it up again" in page
    assert "/reopen" not in page
    open_again = Said(said(False))
    open_again.case = open_again.case._replace(state=CaseState.DISPATCHED)
    assert "/reopen" not in client_of(open_again).get(PATH).text


def test_a5_another_language_keeps_what_was_chosen() -> None:
    ratings = Said(None)
    typed = {"solved": "no", "score": "4", "redisplay": "yes"}
    page = client_of(ratings).post(f"{PATH}?lang=zh", data=typed)
    assert page.status_code == 200
    assert '<html lang="zh-CN">' in page.text
    assert re.findall(r'value="(\w+)" checked', page.text) == ["no", "4"]
    assert ratings.given == []


def test_a24_the_address_of_the_service_leads_to_the_form_of_reports() -> None:
    answer = client_of(Said(None)).get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "https://city.example/report")


def test_a_reopening_is_feedback_of_its_own() -> None:
    closing = Closing(CASE, 3)
    assert closing.reopening_id == Closing(CASE, 3).reopening_id
    assert len({closing.reopening_id, closing.feedback_id, Closing(CASE, 4).reopening_id}) == 3
