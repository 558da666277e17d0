"""How errors answer: RFC 9457 problem details, or a page for whoever asked for one.

Nothing that came in with a request is repeated in an answer or a log line, apart from the names of
the fields that are wrong.
"""

import json
import logging
import secrets
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastmetre.common.web.accept import weighted
from lastmetre.common.web.problem import FieldProblem, Problem
from lastmetre.common.web.words import N_

if TYPE_CHECKING:
    from lastmetre.common.web.kit import Pages

__all__ = [
    "UNEXPECTED_DETAIL",
    "FieldProblem",
    "Problem",
    "ProblemDocument",
    "UnexpectedErrors",
    "answer",
    "field_errors",
    "install",
    "invalid",
]

_log = logging.getLogger(__name__)
_JSON_MEDIA = ("application/json", "application/problem+json")
_MAXIMUM_ERRORS = 50
_MAXIMUM_NAME = 100


_TITLES = {
    400: N_("This request cannot be understood"),
    404: N_("There is nothing here"),
    405: N_("That cannot be done here"),
    413: N_("That is too much at once"),
    415: N_("This kind of content is not taken here"),
    422: N_("Something in the request is not right"),
    429: N_("Too many requests"),
    500: N_("Something went wrong on our side"),
    503: N_("Not available for a moment"),
}
_TYPES = {413: "/problems/too-large"}
UNEXPECTED_DETAIL = N_(
    "Please try again. If it happens again, tell us this reference: %(reference)s"
)


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457). Members of the problem's own may follow."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldProblem] | None = None


def field_errors(errors: Iterable[Mapping[str, Any]]) -> list[FieldProblem]:
    """Pydantic's errors as `pointer` (RFC 6901, into what was sent) and `message`, values left out.

    A message of your own is passed on unchanged if raised as `PydanticCustomError`; what a
    ValueError says is left out, since it may quote the input.
    """
    return [
        {"pointer": _pointer(error["loc"]), "message": _without_values(error)}
        for error, _ in zip(errors, range(_MAXIMUM_ERRORS), strict=False)
    ]


def _pointer(location: Sequence[str | int]) -> str:
    names = (str(part)[:_MAXIMUM_NAME].replace("~", "~0").replace("/", "~1") for part in location)
    return "/" + "/".join(names) if location else ""


def _without_values(error: Mapping[str, Any]) -> str:
    message: str = error["msg"]
    context = error.get("ctx", {})
    for key in ("error", "encoding_error", "tag", "tz_actual"):  # these quote the input
        quoted = str(context.get(key, ""))
        if quoted:
            message = message.replace(quoted, "…")
    return message.rstrip(" ,:…")


def _prefers_page(accept: str) -> bool:
    """Whether an Accept header puts HTML before JSON. A bare `*/*` is a program's."""
    weights = dict(weighted(accept))
    json_weight = max(weights.get(media, 0.0) for media in _JSON_MEDIA)
    return weights.get("text/html", 0.0) > json_weight


def answer(request: Request, problem: Problem, pages: "Pages | None") -> Response:
    """The response to a problem: a page if the caller prefers one, else problem details."""
    if pages is not None and _prefers_page(request.headers.get("accept", "")):
        response: Response = pages.render(
            request, "kit/problem.html", {"problem": problem}, problem.status
        )
    else:
        # ASCII only: the name of a field may hold a lone surrogate, which UTF-8 cannot.
        body = json.dumps(problem.document(), ensure_ascii=True, default=str)
        response = Response(body, problem.status, media_type="application/problem+json")
        response.headers["Cache-Control"] = "no-store"
    response.headers.update(problem.headers)
    return response


def _from_http(error: Exception) -> Problem:
    assert isinstance(error, HTTPException)
    title = _TITLES.get(error.status_code) or HTTPStatus(error.status_code).phrase
    kind = _TYPES.get(error.status_code, "about:blank")
    return Problem(error.status_code, kind, title, headers=error.headers)


def invalid(errors: Iterable[Mapping[str, Any]]) -> Problem:
    """The problem that names what is wrong in a request, from pydantic's errors."""
    return Problem(422, "/problems/invalid", _TITLES[422], extra={"errors": field_errors(errors)})


def _from_validation(error: Exception) -> Problem:
    assert isinstance(error, RequestValidationError)
    return invalid(map(_within_body, error.errors()))


def _within_body(error: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is in the body is told by its place there; else the place says `path` or `query`."""
    source, *rest = error["loc"]
    if source != "body":
        return error
    return {**error, "loc": () if error["type"] == "json_invalid" else rest}


class UnexpectedErrors:
    """Answers 500 with a reference for what nobody foresaw, and logs it without its message.

    The message of an exception may quote the input (a database's often does), so the log gets the
    type and where it happened. Nothing is raised further: the server would log it with traceback.
    """

    def __init__(self, app: ASGIApp, pages: "Pages | None") -> None:
        self._app = app
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watched_send(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watched_send)
        except ClientDisconnect:
            return  # Whoever left before all of his request was here waits for no answer.
        except Exception as error:
            reference = secrets.token_hex(6)
            _log_unexpected(reference, scope, error)
            if not started:  # otherwise the server closes the connection, as it must
                problem = Problem(
                    500,
                    "/problems/unexpected",
                    _TITLES[500],
                    UNEXPECTED_DETAIL,
                    extra={"reference": reference},
                )
                await answer(Request(scope), problem, self._pages)(scope, receive, send)


def _log_unexpected(reference: str, scope: Scope, error: Exception) -> None:
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = " < ".join(
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames)
    )
    # The route's pattern, not the path: a path may hold a secret.
    route = getattr(scope.get("route"), "path", "no route")
    _log.error(
        "unexpected error %s: %s on %s %s at %s",
        reference,
        type(error).__qualname__,
        scope["method"],
        route,
        where,
    )


Translation = Callable[[Exception], Problem]


def install(
    app: FastAPI,
    pages: "Pages | None" = None,
    foreseen: Mapping[type[Exception], Translation] | None = None,
) -> None:
    """Make the application answer every error as a problem; with `pages`, people get a page.

    `foreseen` says what other exceptions mean, by their class.
    """
    translations: dict[type[Exception], Translation] = {
        Problem: _itself,
        HTTPException: _from_http,
        RequestValidationError: _from_validation,
        **(foreseen or {}),
    }

    async def on_error(request: Request, error: Exception) -> Response:
        kind = next(each for each in type(error).__mro__ if each in translations)
        return answer(request, translations[kind](error), pages)

    for kind in translations:
        app.add_exception_handler(kind, on_error)
    # Innermost, so that every other middleware sees and completes the answer.
    app.user_middleware.append(Middleware(UnexpectedErrors, pages=pages))


def _itself(error: Exception) -> Problem:
    assert isinstance(error, Problem)
    return error
