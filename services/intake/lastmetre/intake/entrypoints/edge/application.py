"""`POST /channels/{channel}/reports`: one report, or an array with an answer each.

An ASGI application of its own before the service's: it is called thousands of times a second, and
matching, dependency and exception layers cost as much there as all that is done for a report.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, Literal, NotRequired

from fastapi import Request
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import TypedDict

from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.base import BYTE_ORDER_MARK, Channel, Origin
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.mapping.engine import Reader
from lastmetre.common.security.access import (
    Authenticator,
    ChannelKey,
    DeclaredAccess,
    admit,
)
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.telemetry import metrics
from lastmetre.common.web.headers import SecurityHeaders
from lastmetre.common.web.openapi import Described, JsonResponse, JsonRoute
from lastmetre.common.web.problems import (
    FieldProblem,
    Problem,
    UnexpectedErrors,
    answer,
    field_errors,
)
from lastmetre.common.web.words import N_
from lastmetre.intake.application.submit_reports import SubmitReports
from lastmetre.intake.domain.bytes_in_flight import BytesInFlight
from lastmetre.intake.domain.remarks import remarks
from lastmetre.intake.domain.submission import NotAcknowledged
from lastmetre.intake.entrypoints.edge.mapped import MappedReports
from lastmetre.intake.settings import IntakeSettings

RETRY_AFTER_SECONDS: Final = "2"
PATH: Final = "/channels/{channel}/reports"
RULES: Final = (ChannelKey(),)
_CHANNELS: Final = {PATH.format(channel=channel.value): channel for channel in Channel}
_JSON: Final = "application/json"
_REFUSALS: Final = (400, 413, 415, 422, 503)


@with_config(ConfigDict(extra="forbid"))
class ReportTaken(TypedDict):
    """A report that Kafka has: its receipt, the link to its progress page, and what of it is not
    used as it was sent."""

    receipt: str
    progress_url: str
    remarks: NotRequired[list[FieldProblem]]


class ItemTaken(ReportTaken):
    """The answer to a report of an array."""

    status: Literal[202]


@with_config(ConfigDict(extra="forbid"))
class ItemRefused(TypedDict):
    """The answer to an item that is no report: what is wrong, by field."""

    status: Literal[422]
    errors: list[FieldProblem]


@with_config(ConfigDict(extra="forbid"))
class ItemsAnswered(TypedDict):
    """The answer to an array: an item each, in order. A bad one does not keep others out."""

    taken: int
    refused: int
    items: list[ItemTaken | ItemRefused]


def not_acknowledged() -> Problem:
    """Kafka does not answer, or too much is in flight: worth another try."""
    return Problem(
        503,
        "/problems/not-taken",
        N_("Not available for a moment"),
        N_("Your report was not taken yet. Please send it again: nothing is counted twice."),
        headers={"Retry-After": RETRY_AFTER_SECONDS},
    )


def _too_large() -> Problem:
    return Problem(413, "/problems/too-large", N_("That is too much at once"))


def _not_json() -> Problem:
    return Problem(
        400,
        "/problems/not-json",
        N_("This request cannot be understood"),
        N_("The body must be JSON in UTF-8, without NaN and lone surrogates."),
    )


class _Bodies:
    """Reads bodies within their limits; what is being read counts as in flight."""

    def __init__(self, in_flight: BytesInFlight, settings: IntakeSettings) -> None:
        self._in_flight = in_flight
        self._single = settings.single_bytes
        self._array = settings.array_bytes

    async def document(self, request: Request, sender: str) -> Any:
        """The JSON value in the body. Raises Problem."""
        if request.headers.get("content-encoding", "identity") != "identity":
            raise Problem(415, "/problems/encoded", N_("This kind of content is not taken here"))
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._array:
            raise _too_large()
        body = bytearray()
        try:
            async for chunk in request.stream():
                if not self._in_flight.reserve(sender, len(chunk)):
                    raise not_acknowledged()
                body += chunk
                if len(body) > self._array:
                    raise _too_large()
            return self._parsed(body)
        except ClientDisconnect as error:
            raise Problem(400, "about:blank", N_("This request cannot be understood")) from error
        finally:
            self._in_flight.release(sender, len(body))

    def _parsed(self, sent: bytearray) -> Any:
        body = sent.removeprefix(BYTE_ORDER_MARK)
        if len(body) > self._single and body.lstrip(b" \t\r\n")[:1] != b"[":
            raise _too_large()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise _not_json() from error


class ChannelsApplication:
    """Takes reports for the channels whose keys `authenticator` knows. `readers` has the mappings
    that keys name."""

    access: Final = DeclaredAccess(PATH, frozenset({"POST"}), RULES)

    def __init__(
        self,
        submit: SubmitReports,
        in_flight: BytesInFlight,
        settings: IntakeSettings,
        check: ContactCheck,
        authenticator: Authenticator,
        readers: Mapping[str, Reader],
    ) -> None:
        self._readers = readers
        self._submit_reports = submit
        self._bodies = _Bodies(in_flight, settings)
        self._items = settings.array_items
        self._check = check
        self._authenticator = authenticator
        self._answer = SecurityHeaders(UnexpectedErrors(self._serve, None))
        for channel in Channel:
            metrics.REPORTS_TAKEN.labels(channel.value)
            for status in _REFUSALS:
                metrics.REPORTS_REFUSED.labels(channel.value, str(status))

    def before(self, app: ASGIApp) -> ASGIApp:
        """Answers what is sent to the channels; the rest goes to `app`."""

        async def entrance(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"] in _CHANNELS:
                await self._answer(scope, receive, send)
            else:
                await app(scope, receive, send)

        return entrance

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._submit(request, _CHANNELS[scope["path"]])
        except Problem as problem:
            response = answer(request, problem, None)
        await response(scope, receive, send)

    async def _submit(self, request: Request, channel: Channel) -> Response:
        if request.method != "POST":
            raise Problem(
                405, "about:blank", N_("That cannot be done here"), headers={"Allow": "POST"}
            )
        request.scope.update(path_params={"channel": channel.value}, route=self.access)
        caller = await admit(request, RULES, self._authenticator)
        assert isinstance(caller, ChannelCaller)
        try:
            return await self._take(request, channel, caller)
        except Problem as problem:
            metrics.REPORTS_REFUSED.labels(channel.value, str(problem.status)).inc()
            raise

    async def _take(self, request: Request, channel: Channel, caller: ChannelCaller) -> Response:
        document = await self._bodies.document(request, caller.sender)
        trace = request.headers.get("traceparent")
        read: _Read = partial(_report, history=caller.history)
        remarks_on: _RemarksOn = partial(remarks, check=self._check, now=self._submit_reports.now())
        if caller.mapping is not None:
            mapped = MappedReports(self._readers[caller.mapping], remarks_on)
            read, remarks_on = mapped.report, mapped.remarks
        batch = _Batch(
            self._submit_reports,
            channel,
            caller.sender,
            trace.encode("latin-1") if trace else None,
            read,
            remarks_on,
        )
        if not isinstance(document, list):
            return await batch.one(document)
        if len(document) > self._items:
            raise _too_large()
        return await batch.each(document)

    def describe(self) -> Described:
        """The route in OpenAPI."""
        return JsonRoute(
            self.access,
            summary="Report something",
            description=__doc__.split("\n", 1)[0],
            tag="reports",
            parameters={"channel": TypeAdapter(Channel)},
            body=TypeAdapter(ReportSubmitted | list[ReportSubmitted]),
            responses={202: JsonResponse("Kafka has it", TypeAdapter(ReportTaken | ItemsAnswered))},
        ).described()


_Read = Callable[[Any], ReportSubmitted | list[FieldProblem]]
_RemarksOn = Callable[[ReportSubmitted], list[FieldProblem]]


class _Batch:
    """The reports of one request."""

    def __init__(
        self,
        submit: SubmitReports,
        channel: Channel,
        sender: str,
        trace: bytes | None,
        read: _Read,
        remarks_on: _RemarksOn,
    ) -> None:
        self._submit = submit
        self._channel = channel
        self._sender = sender
        self._trace = trace
        self._read = read
        self._remarks_on = remarks_on

    async def one(self, document: Any) -> Response:
        """The answer to a single report."""
        report = self._read(document)
        if isinstance(report, list):
            raise Problem(
                422,
                "/problems/invalid",
                N_("Something in the request is not right"),
                extra={"errors": report},
            )
        (taken,) = await self._publish([report])
        return _json(taken, {"Location": f"/cases/{taken['receipt']}"})

    async def each(self, documents: list[Any]) -> Response:
        """An answer an item, in order: a bad one does not keep the others from being taken."""
        found = [self._read(document) for document in documents]
        reports = [each for each in found if not isinstance(each, list)]
        taken = iter(await self._publish(reports))
        items: list[ItemTaken | ItemRefused] = [
            ItemRefused(status=422, errors=each)
            if isinstance(each, list)
            else ItemTaken(status=202, **next(taken))
            for each in found
        ]
        refused = len(documents) - len(reports)
        return _json(ItemsAnswered(taken=len(reports), refused=refused, items=items))

    async def _publish(self, reports: list[ReportSubmitted]) -> list[ReportTaken]:
        try:
            published = await self._submit(self._channel, self._sender, reports, self._trace)
        except NotAcknowledged as error:
            raise not_acknowledged() from error
        answers: list[ReportTaken] = []
        for report, (receipt, progress_url) in zip(reports, published, strict=True):
            taken = ReportTaken(receipt=receipt, progress_url=progress_url)
            if found := self._remarks_on(report):
                taken["remarks"] = found
            answers.append(taken)
        return answers


def _json(document: ReportTaken | ItemsAnswered, headers: dict[str, str] | None = None) -> Response:
    return Response(to_json(document), 202, headers, _JSON)


def _report(document: Any, *, history: bool) -> ReportSubmitted | list[FieldProblem]:
    """The report in a JSON value, or what is wrong with it, by field; without `history` it has to
    happen now: nobody is told of an import, and it keeps whatever times it has."""
    if not isinstance(document, dict):
        return [{"pointer": "", "message": "A report is a JSON object"}]
    try:
        report = ReportSubmitted.model_validate(document)
    except ValidationError as error:
        return field_errors(error.errors(include_url=False, include_input=False))
    if report.origin is Origin.IMPORT and not history:
        return [{"pointer": "/origin", "message": "This key may not send history"}]
    return report
