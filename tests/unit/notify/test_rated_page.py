"""The page behind a used rating link promises nothing that the ledger does not hold."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from fastapi import Request
from starlette.testclient import TestClient

from lastmetre.common.security.access import Anyone, allow
from lastmetre.common.web.kit import Pages
from lastmetre.notify.domain.ratings import Rating
from tests.unit.web.conftest import PUBLIC_URLS, guarded_app

GIVEN = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
RECORDED, RECEIVED = "Your rating is recorded", "is being recorded"
REOPENED, TOO_LATE = "It is taken up again, as you asked", "It had been taken up or closed anew"


def shown(rating: Rating) -> str:
    pages = Pages(
        "lastmetre.notify", static_path="/rate/static", time_zone="Asia/Shanghai",
        city_names={"zh": "云桥市", "en": "Yunqiao"}, public_urls=PUBLIC_URLS,
    )  # fmt: skip
    app = guarded_app()

    @app.get("/rate/page", dependencies=allow(Anyone()))
    async def show(request: Request) -> object:
        context = {
            "case": None, "category": None, "now": GIVEN + timedelta(minutes=1), "rating": rating,
            "rate_path": "/rate/token", "progress": None,
        }  # fmt: skip
        return pages.render(request, "rated.html", context)

    text: str = TestClient(app).get("/rate/page", headers={"Accept-Language": "en"}).text
    return text


@pytest.mark.parametrize(
    ("recorded", "reopen", "reopened", "said"),
    [
        (False, False, False, {RECEIVED}),
        (False, True, False, {RECEIVED}),
        (True, False, False, {RECORDED}),
        (True, True, True, {RECORDED, REOPENED}),
        (True, True, False, {RECORDED, TOO_LATE}),
    ],
)
def test_what_is_said(recorded: bool, reopen: bool, reopened: bool, said: set[str]) -> None:
    rating = Rating(
        UUID(int=1), 7, UUID(int=2), solved=False, score=1, reopen=reopen, given_at=GIVEN,
        recorded_at=GIVEN if recorded else None, reopened=reopened,
    )  # fmt: skip
    page = shown(rating)
    assert ('action="/rate/token/reopen"' in page) is not reopen
    assert {each for each in (RECEIVED, RECORDED, REOPENED, TOO_LATE) if each in page} == said
