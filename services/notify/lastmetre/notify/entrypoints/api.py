"""HTTP in, for programs: what became of the messages about a case, and ratings."""

from datetime import datetime
from typing import Annotated, Final, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from lastmetre.common.contracts.base import Actor, ActorRole
from lastmetre.common.contracts.case_messages import CASE_MESSAGES_PATH, CaseMessageTexts
from lastmetre.common.contracts.vault import Contact
from lastmetre.common.security.access import (
    CurrentPerson,
    GuardedRoute,
    SecretLink,
    ServiceKey,
    allow,
)
from lastmetre.common.security.callers import CENTRE, OPERATORS, Person, Role
from lastmetre.common.web.problem import Problem
from lastmetre.common.web.words import N_
from lastmetre.notify.application.case_messages import ListMessages, ReadMessages
from lastmetre.notify.application.ratings import Ratings
from lastmetre.notify.application.send_again import Answer, SendAgain
from lastmetre.notify.application.try_message import TryMessage
from lastmetre.notify.domain.messages import lead_of, recipient_kind
from lastmetre.notify.domain.ratings import Closing, Verdict
from lastmetre.notify.domain.stored_messages import StoredMessage

RATING_BYTES: Final = 4096
AGAIN_BYTES: Final = 1024
SERVICES = ServiceKey("intake", "dispatch", "notify", "metrics")


class AskedAgain(BaseModel):
    """Who asked to send a message again that had failed, or of which nobody knew."""

    request_id: UUID
    actor: Actor
    asked_at: datetime


class MessageListed(BaseModel):
    """A message and what became of it; without an address, we keep none.

    One that was sent again is listed for each time, with ids of its own; `first_id` is that of the
    first time.
    """

    message_id: UUID
    first_id: UUID
    seq: int
    kind: str
    recipient: str
    lead_id: str | None
    state: str
    provider: str | None
    attempts: int | None
    error: str | None
    occurred_at: datetime
    asked_at: datetime | None
    not_before: datetime | None
    again: AskedAgain | None
    can_be_sent_again: bool


class MessagesListed(BaseModel):
    """Every message about a case, in order of its events."""

    case_id: UUID
    messages: list[MessageListed]


class AgainBody(BaseModel):
    """A request to send a message again. The same id sends it once, however often it comes."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    request_id: UUID


class RatingBody(BaseModel):
    """A rating as a program sends it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, strict=True)

    solved: bool
    score: int = Field(ge=1, le=5)
    reopen: bool = False


class RatingGiven(BaseModel):
    """The rating of a closing that counts: the first."""

    feedback_id: UUID
    case_id: UUID
    closing: int
    solved: bool
    score: int
    reopen: bool
    given_at: datetime


class TestMessageBody(BaseModel):
    """Where a test message is to go: one of both."""

    __test__ = False  # pytest would take it for tests
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    email: str | None = Field(default=None, min_length=3, max_length=320)
    phone: str | None = Field(default=None, min_length=3, max_length=40)

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.email is None) == (self.phone is None):
            raise ValueError("either email or phone")
        return self


class TestMessageTried(BaseModel):
    """What came of it; neither result nor error: that provider reaches nobody."""

    __test__ = False
    provider: str
    result: str | None
    error: str | None


def internal_router(read_messages: ReadMessages, try_message: TryMessage) -> APIRouter:
    """What other services alone may ask: personal. And what an operator tries."""
    router = APIRouter(route_class=GuardedRoute, tags=["messages"])

    @router.get(CASE_MESSAGES_PATH, dependencies=allow(ServiceKey("dispatch")))
    async def texts_of_messages(case_id: UUID, response: Response) -> CaseMessageTexts:
        """The messages about a case with their words, for the staff's page of it."""
        response.headers["Cache-Control"] = "no-store"
        return CaseMessageTexts(messages=await read_messages(case_id))

    @router.post(
        "/api/notify/v1/test-messages",
        dependencies=allow(Role.ADMINISTRATOR),
        max_body_size=AGAIN_BYTES,
    )
    async def send_test_message(body: TestMessageBody) -> TestMessageTried:
        """Send a message that is about no case, by the provider that is set; nothing is kept."""
        tried = await try_message(Contact(phone=body.phone, email=body.email))
        return TestMessageTried(provider=tried.provider, result=tried.result, error=tried.error)

    return router


def api_router(list_messages: ListMessages, send_again: SendAgain, ratings: Ratings) -> APIRouter:
    """The JSON API of notify."""
    router = APIRouter(route_class=GuardedRoute, prefix="/api/notify/v1")

    async def closing_of_link(token: str) -> Closing:
        return ratings.find.closing(token)

    @router.get(
        "/cases/{case_id}/messages", dependencies=allow(SERVICES, *CENTRE), tags=["messages"]
    )
    async def messages_of_case(case_id: UUID) -> MessagesListed:
        """What became of the messages about a case."""
        messages = await list_messages(case_id)
        return MessagesListed(case_id=case_id, messages=[_message(each) for each in messages])

    @router.post(
        "/cases/{case_id}/messages/{first_id}/again",
        dependencies=allow(*OPERATORS),
        max_body_size=AGAIN_BYTES,
        status_code=202,
        tags=["messages"],
    )
    async def send_message_again(
        case_id: UUID, first_id: UUID, body: AgainBody, person: CurrentPerson
    ) -> MessagesListed:
        """Send a message again that failed, or of which nobody knows whether it was sent."""
        answer = await send_again(case_id, first_id, body.request_id, actor_of(person))
        if answer is not Answer.ASKED:
            raise refusal(answer)
        messages = await list_messages(case_id)
        return MessagesListed(case_id=case_id, messages=[_message(each) for each in messages])

    @router.post(
        "/ratings/{token}",
        dependencies=allow(SecretLink()),
        max_body_size=RATING_BYTES,
        status_code=202,
        responses={200: {"model": RatingGiven, "description": "It was rated before"}},
        tags=["ratings"],
    )
    async def rate_closing(
        closing: Annotated[Closing, Depends(closing_of_link)], body: RatingBody, response: Response
    ) -> RatingGiven:
        """Rate the closing that a secret link is for; the first rating counts."""
        rating, new = await ratings.give(closing, Verdict(body.solved, body.score, body.reopen))
        response.status_code = 202 if new else 200
        return RatingGiven.model_validate(rating, from_attributes=True)

    return router


def _message(message: StoredMessage) -> MessageListed:
    return MessageListed(
        message_id=message.message_id,
        first_id=message.first_id,
        seq=message.seq,
        kind=message.kind,
        recipient=recipient_kind(message.recipient).value,
        lead_id=lead_of(message.recipient),
        state=message.state,
        provider=message.provider,
        attempts=message.attempts,
        error=message.error,
        occurred_at=message.occurred_at,
        asked_at=message.asked_at,
        not_before=message.not_before,
        again=AskedAgain.model_validate(message.again._asdict()) if message.again else None,
        can_be_sent_again=message.can_be_sent_again,
    )


def actor_of(person: Person) -> Actor:
    """A member of staff as one who does something."""
    return Actor(role=ActorRole(person.role.value), id=person.subject)


def unknown_message() -> Problem:
    """There is no such message."""
    return Problem(404, "/problems/unknown-message", N_("There is no such message"))


def refusal(answer: Answer) -> Problem:
    """Why a message is not sent again."""
    if answer is Answer.UNKNOWN_MESSAGE:
        return unknown_message()
    if answer is Answer.REQUEST_ID_USED:
        return Problem(
            409,
            "/problems/request-id-used",
            N_("Another message was sent again under this request's id"),
        )
    return Problem(
        409,
        "/problems/message-not-failed",
        N_("This message cannot be sent again"),
        N_("It has been sent, or is on its way, or was not to be sent."),
    )
