"""The log of messages and the confirmation that one is sent again, as staff see them."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from fastapi import Request
from starlette.testclient import TestClient

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.case_messages import CaseMessageText
from lastmetre.common.security.callers import Person, Principal, Role, Via
from lastmetre.common.service.ids import IdGenerator
from lastmetre.common.web import problems
from lastmetre.common.web.kit import Pages
from lastmetre.notify.application.read_log import LogPage
from lastmetre.notify.application.send_again import Answer
from lastmetre.notify.domain.messages import REPORTER, recipient_kind
from lastmetre.notify.domain.sending_again import AskedAgain
from lastmetre.notify.domain.stored_messages import LogPlace, StoredMessage
from lastmetre.notify.entrypoints.web.log_pages import AgainPages, LogPages, log_router
from tests.unit.notify.ledger import CASE, REPORT
from tests.unit.web.conftest import PUBLIC_URLS, guarded_app

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
REQUEST = UUID("01936a5e-0000-7000-8000-0000000000aa")
ZHOU = AskedAgain(REQUEST, Actor(role=ActorRole.OPERATOR, id="zhou.lin"), NOW)


def stored(state: str, **more: Any) -> StoredMessage:
    waits = state in ("pending", "sending")
    return StoredMessage(
        CASE, "261122-0418", REPORT, "zh", "unknown", 3, REPORTER, "accepted", "李敏", "Li Min",
        state, None, 1 if waits else None, None if waits else "smtp_550", NOW - timedelta(hours=1),
        NOW if waits else None, NOW if waits else None,
    )._replace(**more)  # fmt: skip


FAILED, UNKNOWN = stored("failed"), stored("unknown", error="interrupted")
PATH = f"/messages/{CASE}/{FAILED.first_id}/again"


class Desk:
    """Everything that the pages call, and what they asked of it."""

    def __init__(self, message: StoredMessage | None = FAILED) -> None:
        self.message = message
        self.masked: str | None = "138****8000"
        self.text: str | None = "您反映的问题已接单。"
        self.page = LogPage([message] if message else [], {"failed": 1, "sent": 1234})
        self.looked: list[tuple[str, str, LogPlace | None]] = []
        self.sent: list[tuple[UUID, UUID, UUID, Actor]] = []
        self.answer = Answer.ASKED
        self.role = Role.OPERATOR

    async def find(self, case_id: UUID, first_id: UUID) -> StoredMessage | None:
        known = self.message and (case_id, first_id) == (CASE, self.message.first_id)
        return self.message if known else None

    async def with_words(self, messages: Sequence[StoredMessage]) -> list[CaseMessageText]:
        return [
            CaseMessageText(
                seq=each.seq, kind=each.kind, recipient=recipient_kind(each.recipient),
                lead_id=None, state=each.state, provider=None, attempts=None, error=each.error,
                occurred_at=each.occurred_at, address_masked=self.masked, text=self.text,
            )
            for each in messages
        ]  # fmt: skip

    async def read_log(self, state: str, number: str, behind: LogPlace | None) -> LogPage:
        self.looked.append((state, number, behind))
        return self.page

    async def send(self, case_id: UUID, first_id: UUID, request_id: UUID, actor: Actor) -> Answer:
        self.sent.append((case_id, first_id, request_id, actor))
        return self.answer

    async def identify(self, _: Request) -> Principal:
        return Person("zhou.lin", self.role, None, Via.HEADER)

    def client(self, language: str = "en") -> TestClient:
        pages = Pages(
            "lastmetre.notify", static_path="/rate/static", time_zone="Asia/Shanghai",
            city_names={"zh": "云桥市", "en": "Yunqiao"}, public_urls=PUBLIC_URLS,
        )  # fmt: skip
        host = cast(
            "Any",
            SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW), identities=IdGenerator()),
        )
        app = guarded_app()
        app.state.authenticator = self
        uses: Any = self
        again = AgainPages(host, uses.find, uses, uses.send, pages)
        app.include_router(log_router(LogPages(host, uses.read_log, pages), again))
        problems.install(app, pages)
        return TestClient(app, headers={"Accept-Language": language}, follow_redirects=False)


@pytest.mark.parametrize(("language", "twice"), [("en", "may arrive twice"), ("zh", "收到两次")])
@pytest.mark.parametrize(("message", "may_be_double"), [(FAILED, False), (UNKNOWN, True)])
def test_the_confirmation_says_whom_it_goes_to_and_that_it_may_arrive_twice(
    language: str, twice: str, message: StoredMessage, may_be_double: bool
) -> None:
    page = Desk(message).client(language).get(PATH).text
    assert "138****8000" in page
    assert "您反映的问题已接单。" in page
    assert "261122-0418" in page
    assert (twice in page) is may_be_double
    assert len(re.findall(r'name="request_id" value="[0-9a-f-]{36}"', page)) == 1


def test_it_is_asked_in_the_name_of_whoever_presses_and_the_page_comes_back() -> None:
    desk = Desk()
    answer = desk.client().post(PATH, data={"request_id": str(REQUEST)})
    assert (answer.status_code, answer.headers["location"]) == (303, PATH)
    zhou = Actor(role=ActorRole.OPERATOR, id="zhou.lin")
    assert desk.sent == [(CASE, FAILED.first_id, REQUEST, zhou)]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (stored("pending", again=ZHOU), "It is on its way"),
        (stored("sent", error=None, again=ZHOU), "It has been sent"),
        (stored("suppressed", error=None), "It was not to be sent"),
    ],
)
def test_what_cannot_be_sent_again_says_so_and_offers_nothing(
    message: StoredMessage, said: str
) -> None:
    page = Desk(message).client().get(PATH).text
    assert said in page
    assert "<form" not in page.partition("<main")[2]
    assert ("asked for by zhou.lin" in page) is (message.again is not None)


def test_without_knowing_whom_it_goes_to_nothing_is_asked() -> None:
    desk = Desk()
    desk.masked = desk.text = None
    page = desk.client().get(PATH).text
    assert "cannot be shown at the moment" in page
    assert "request_id" not in page


@pytest.mark.parametrize(
    ("answer", "status"),
    [(Answer.UNKNOWN_MESSAGE, 404), (Answer.REQUEST_ID_USED, 409), (Answer.NOT_FAILED, 303)],
)
def test_a_refusal_is_said(answer: Answer, status: int) -> None:
    desk = Desk()
    desk.answer = answer
    got = desk.client().post(PATH, data={"request_id": str(REQUEST)})
    assert got.status_code == status


@pytest.mark.parametrize("fields", [{}, {"request_id": "x"}])
def test_a_request_without_its_id_is_bad(fields: dict[str, str]) -> None:
    desk = Desk()
    assert desk.client().post(PATH, data=fields).status_code == 422
    assert desk.sent == []


def test_another_cases_message_is_not_found() -> None:
    assert Desk().client().get(f"/messages/{REPORT}/{FAILED.first_id}/again").status_code == 404


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.LEAD])
def test_only_operators_send_again(role: Role) -> None:
    desk = Desk()
    desk.role = role
    client = desk.client()
    assert client.get(PATH).status_code == 403
    assert client.post(PATH, data={"request_id": str(REQUEST)}).status_code == 403
    assert desk.sent == []
    log = client.get("/messages/log")
    assert log.status_code == (200 if role is Role.SUPERVISOR else 403)
    assert PATH not in log.text


@pytest.mark.parametrize(
    ("message", "offered"),
    [(FAILED, True), (UNKNOWN, True), (stored("sent"), False), (stored("pending"), False),
     (stored("failed", superseded=True), False), (stored("failed", again=ZHOU), True)],
)  # fmt: skip
def test_the_log_leads_on_from_what_did_not_go_out(message: StoredMessage, offered: bool) -> None:
    page = Desk(message).client().get("/messages/log").text
    assert (f'href="{PATH}"' in page) is offered
    assert ("Sent again, asked for by zhou.lin" in page) is (message.again is not None)


def test_the_logs_filters_have_their_counts_and_keep_each_other() -> None:
    desk = Desk()
    page = desk.client().get("/messages/log?state=failed&number=%23261122 0418").text
    assert desk.looked == [("failed", "#261122 0418", None)]
    chips = re.findall(r'class="chip" href="\?([^"]*)"[^>]*>([^<]*)<', page)
    assert ("number=%23261122+0418", "All 1,235") in chips
    assert ("state=failed&amp;number=%23261122+0418", "Failed 1") in chips
    assert ("state=unknown&amp;number=%23261122+0418", "Not known whether it was sent 0") in chips


def test_the_page_behind_a_place_is_led_to() -> None:
    desk = Desk()
    desk.page = LogPage([FAILED], {"failed": 101}, behind=FAILED.place)
    page = desk.client().get("/messages/log?state=failed").text
    (further,) = re.findall(r'rel="next" href="([^"]*)"', page)
    desk.client().get("/messages/log" + further.replace("&amp;", "&"))
    assert desk.looked[-1] == ("failed", "", FAILED.place)


@pytest.mark.parametrize(
    "behind",
    ["x", "{}", "[]", '{"waits":true}', FAILED.place._replace(seq=2**31), FAILED.place._replace(
        at=datetime(1, 1, 1, tzinfo=UTC)), FAILED.place._replace(recipient="a\0b")],
)  # fmt: skip
def test_a_place_that_is_none_begins_at_the_latest(behind: str | LogPlace) -> None:
    desk = Desk()
    if isinstance(behind, LogPlace):
        behind = json.dumps(
            {name: value if isinstance(value, int) else str(value)
             for name, value in behind._asdict().items()}
        ).replace(" 00:00", "T00:00")  # fmt: skip
    assert desk.client().get("/messages/log", params={"behind": behind}).status_code == 200
    assert desk.looked == [("", "", None)]


def test_sent_again_it_has_an_id_of_its_own() -> None:
    again = stored("sent", again=ZHOU)
    assert again.first_id == FAILED.message_id == FAILED.first_id
    other = stored("sent", again=ZHOU._replace(request_id=UUID(int=1)))
    assert len({again.message_id, again.first_id, other.message_id}) == 3
