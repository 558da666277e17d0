"""A lead's link signs his device in, unless another site led there and he has not said so."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.testclient import TestClient
from tests.unit.web.conftest import guarded_app

from lastmetre.common.security.callers import Person, Role, Via
from lastmetre.common.security.lead_links import LeadLinks
from lastmetre.common.web import problems
from lastmetre.dispatch.entrypoints.web.sign_in import sign_in_router

NOW = datetime(2026, 11, 30, 8, tzinfo=UTC)
KEY = b"k" * 32
LINK = f"/work/open/{LeadLinks(KEY).seal('L017', NOW)}?case=261122-0418583"


def client(signed_in: str | None) -> TestClient:
    """A browser of somebody who is signed in as that lead, or as nobody."""

    class Authenticator:
        async def identify(self, _: Any) -> Person | None:
            return Person(signed_in, Role.LEAD, signed_in, Via.COOKIE) if signed_in else None

    app = guarded_app()
    clock = cast("Any", SimpleNamespace(now=lambda: NOW))
    app.include_router(sign_in_router(LeadLinks(KEY), KEY, clock))
    app.state.authenticator = Authenticator()
    problems.install(app, None)
    return TestClient(app, follow_redirects=False)


@pytest.mark.parametrize(
    ("site", "signed_in", "status"),
    [
        ("none", None, 303),  # out of a message
        ("same-origin", None, 303),  # he said so on our page
        (None, None, 303),  # a browser that does not tell
        ("cross-site", None, 403),
        ("same-site", None, 403),
        ("cross-site", "L001", 403),
        ("cross-site", "L017", 303),  # nothing becomes another
    ],
)
def test_m8_a_leads_link(site: str | None, signed_in: str | None, status: int) -> None:
    headers = {"Sec-Fetch-Site": site} if site else {}
    answer = client(signed_in).get(LINK, headers=headers)
    assert (answer.status_code, "set-cookie" in answer.headers) == (status, status == 303)
    if status == 403:
        assert answer.json()["actor"] == "lead:L017"
