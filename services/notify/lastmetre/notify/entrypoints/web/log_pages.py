"""Pages for staff: what became of messages, and sending one again that did not go out."""

from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi import Form as FormBody
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import RedirectResponse, Response

from lastmetre.common.contracts.base import Code, Instant
from lastmetre.common.security.access import CurrentPerson, allow
from lastmetre.common.security.callers import CENTRE, OPERATORS, Person
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.forms import FORM_BYTES
from lastmetre.common.web.kit import Pages
from lastmetre.common.web.openapi import REDIRECTS, page_router
from lastmetre.notify.application.case_messages import ReadMessages
from lastmetre.notify.application.read_log import STATES, ReadLog
from lastmetre.notify.application.send_again import Answer, FindMessage, SendAgain
from lastmetre.notify.domain.messages import recipient_kind
from lastmetre.notify.domain.stored_messages import LogPlace, StoredMessage
from lastmetre.notify.entrypoints.api import actor_of, refusal


class Place(BaseModel):
    """A place in the log, as it stands in the address of the page behind it."""

    waits: bool
    at: Instant
    case_id: UUID
    recipient: Code
    seq: int = Field(ge=1, le=2**31 - 1)
    request_id: UUID


class LogQuery(BaseModel):
    """Which messages: those in a state, those of the case with a number, those behind a place."""

    state: str = ""
    number: str = ""
    behind: str = ""


class AgainFields(BaseModel):
    """What the confirmation sends: the id of the request, so that it is sent once."""

    request_id: UUID


class LogPages:
    """The log of messages."""

    def __init__(self, host: ServiceHost, read_log: ReadLog, pages: Pages) -> None:
        self._host = host
        self._read_log = read_log
        self._pages = pages

    async def show(self, request: Request, person: Person, asked: LogQuery) -> Response:
        """A page of the log."""
        number = asked.number.strip()
        page = await self._read_log(asked.state, number, _place(asked.behind))
        state = asked.state if asked.state in STATES else ""
        context = {
            "state": state,
            "number": number,
            "role": person.role.value,
            "operates": person.role in OPERATORS,
            "chips": [
                (each, urlencode(_filters(each, number)), page.counts.get(each, 0))
                for each in STATES
            ],
            "all": (urlencode(_filters("", number)), sum(page.counts.values())),
            "page_shown": page,
            "further": asked.behind and _place(asked.behind) is not None,
            "older": _behind(page.behind, state) if page.behind else "",
            "rows": [_row(message) for message in page.messages],
            "now": self._host.clock.now(),
        }
        return self._pages.render(request, "log.html", context)


def _filters(state: str, number: str) -> dict[str, str]:
    """The fields of a query, those that say nothing left out."""
    return {name: value for name, value in (("state", state), ("number", number)) if value}


def _behind(place: LogPlace, state: str) -> str:
    """The query of the page that begins behind a place."""
    behind = Place.model_validate(place._asdict()).model_dump_json()
    return urlencode(_filters(state, "") | {"behind": behind})


def _place(typed: str) -> LogPlace | None:
    """The place in an address; None if there is none."""
    try:
        return LogPlace(**dict(Place.model_validate_json(typed)))
    except ValidationError:
        return None


def _row(message: StoredMessage) -> dict[str, Any]:
    to = recipient_kind(message.recipient).value
    return {"message": message, "to": to, "again_path": _again_path(message)}


def _again_path(message: StoredMessage) -> str:
    return f"/messages/{message.case_id}/{message.first_id}/again"


class AgainPages:
    """The page that asks whether a message is to be sent again, and then says that it is."""

    def __init__(
        self,
        host: ServiceHost,
        find: FindMessage,
        read: ReadMessages,
        send_again: SendAgain,
        pages: Pages,
    ) -> None:
        self._host = host
        self._find = find
        self._read = read
        self._send_again = send_again
        self._pages = pages

    async def show(
        self, request: Request, person: Person, case_id: UUID, message_id: UUID
    ) -> Response:
        """Whom the message goes to and what became of it. Raises Problem 404."""
        message = await self._find(case_id, message_id)
        if message is None:
            raise refusal(Answer.UNKNOWN_MESSAGE)
        (words,) = await self._read.with_words([message])
        context = {
            "message": message,
            "words_of": words,
            "to": words.recipient.value,
            "role": person.role.value,
            "request_id": self._host.identities.uuid7(self._host.clock.now()),
            "now": self._host.clock.now(),
        }
        return self._pages.render(request, "again.html", context)

    async def send(
        self, request: Request, person: Person, case_id: UUID, message_id: UUID, request_id: UUID
    ) -> Response:
        """Leads back to the same page, which says what the message's state is now."""
        answer = await self._send_again(case_id, message_id, request_id, actor_of(person))
        if answer in (Answer.UNKNOWN_MESSAGE, Answer.REQUEST_ID_USED):
            raise refusal(answer)
        return RedirectResponse(request.url.path, 303)


def log_router(log_pages: LogPages, again_pages: AgainPages) -> APIRouter:
    """The pages about messages."""
    router = page_router()

    @router.get("/messages/log", dependencies=allow(*CENTRE))
    async def latest_messages(
        request: Request, person: CurrentPerson, asked: Annotated[LogQuery, Query()]
    ) -> Response:
        """Messages, all or those in one state, of all cases or of one."""
        return await log_pages.show(request, person, asked)

    @router.get("/messages/{case_id}/{message_id}/again", dependencies=allow(*OPERATORS))
    async def confirm_sending_again(
        request: Request, person: CurrentPerson, case_id: UUID, message_id: UUID
    ) -> Response:
        """Whom a message goes to if it is sent again, and what became of it."""
        return await again_pages.show(request, person, case_id, message_id)

    @router.post(
        "/messages/{case_id}/{message_id}/again",
        dependencies=allow(*OPERATORS),
        max_body_size=FORM_BYTES,
        **REDIRECTS,
    )
    async def send_again(
        request: Request,
        person: CurrentPerson,
        case_id: UUID,
        message_id: UUID,
        fields: Annotated[AgainFields, FormBody()],
    ) -> Response:
        """Send it again; leads back to the same address."""
        return await again_pages.send(request, person, case_id, message_id, fields.request_id)

    return router
