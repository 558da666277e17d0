"""`POST /channels/{hotline|app|patrol}/reports`: one report, or an array with an answer each."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from lastmetre.common.contact import ContactCheck
from lastmetre.common.contracts.base import BYTE_ORDER_MARK, Channel
from lastmetre.common.contracts.reports import ReportSubmitted
from lastmetre.common.security.access import ChannelKey, GuardedRoute, allow
from lastmetre.common.security.callers import ChannelCaller
from lastmetre.common.telemetry import metrics
from lastmetre.common.web.hot import Endpoint
from lastmetre.common.web.problems import Problem, field_errors
from lastmetre.common.web.words import N_
from lastmetre.intake.domain.remarks import remarks
from lastmetre.intake.edge.producer import NotAcknowledged
from lastmetre.intake.edge.taking import AcceptedReport, ReportPublisher
from lastmetre.intake.settings import IntakeSettings

RETRY_AFTER_SECONDS: Final = "2"
_JSON: Final = "application/json"


class _ChannelConvertor(Convertor[str]):
    """Matches our channels only, so that another one is not found rather than not allowed."""

    regex = "|".join(channel.value for channel in Channel)

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("channel", _ChannelConvertor())


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

    def __init__(self, edge: ReportPublisher, settings: IntakeSettings) -> None:
        self._producer = edge.producer
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
                self._producer.reserve(sender, len(chunk))
                body += chunk
                if len(body) > self._array:
                    raise _too_large()
            return self._parsed(body)
        except ClientDisconnect as error:
            raise Problem(400, "about:blank", N_("This request cannot be understood")) from error
        except NotAcknowledged as error:
            raise not_acknowledged() from error
        finally:
            self._producer.release(sender, len(body))

    def _parsed(self, sent: bytearray) -> Any:
        body = sent.removeprefix(BYTE_ORDER_MARK)
        if len(body) > self._single and body.lstrip(b" \t\r\n")[:1] != b"[":
            raise _too_large()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError as error:
            raise _not_json() from error


CHANNEL_PATHS: Final = {
    f"/channels/{channel.value}/reports": {"channel": channel.value} for channel in Channel
}


def edge_endpoint(edge: ReportPublisher, settings: IntakeSettings, check: ContactCheck) -> Endpoint:
    """What answers a POST to a channel."""
    bodies = _Bodies(edge, settings)

    async def take(request: Request, channel: Channel, sender: str) -> Response:
        document = await bodies.document(request, sender)
        trace = request.headers.get("traceparent")
        give = _giver(edge, channel, sender, trace.encode("latin-1") if trace else None)
        remark = partial(remarks, check=check, now=edge.now())
        if isinstance(document, list):
            if len(document) > settings.array_items:
                raise _too_large()
            return await _answer_array(document, give, remark)
        return await _answer_one(document, give, remark)

    @allow(ChannelKey())
    async def submit(request: Request) -> Response:
        caller = request.state.principal
        assert isinstance(caller, ChannelCaller)
        channel = Channel(caller.channel)
        try:
            return await take(request, channel, caller.sender)
        except Problem as problem:
            metrics.REPORTS_REFUSED.labels(channel.value, str(problem.status)).inc()
            raise

    return submit


def edge_router(endpoint: Endpoint) -> APIRouter:
    """The route of the channels."""
    router = APIRouter(route_class=GuardedRoute)
    router.add_api_route(
        "/channels/{channel:channel}/reports", endpoint, methods=["POST"], response_model=None
    )
    return router


Give = Callable[[list[ReportSubmitted]], Any]
Remarks = Callable[[ReportSubmitted], list[dict[str, str]]]


def _giver(edge: ReportPublisher, channel: Channel, sender: str, trace: bytes | None) -> Give:
    async def give(reports: list[ReportSubmitted]) -> list[AcceptedReport]:
        try:
            return await edge.take(channel, sender, reports, trace)
        except NotAcknowledged as error:
            raise not_acknowledged() from error

    return give


async def _answer_one(document: Any, give: Give, remark: Remarks) -> Response:
    report = _report(document)
    if isinstance(report, list):
        raise Problem(
            422,
            "/problems/invalid",
            N_("Something in the request is not right"),
            extra={"errors": report},
        )
    (taken,) = await give([report])
    found = remark(report)
    said = b',"remarks":%b' % to_json(found) if found else b""
    return Response(
        b'{"receipt":"%b","progress_url":"%b"%b}'
        % (taken.receipt.encode(), taken.progress_url.encode(), said),
        202,
        {"Location": f"/cases/{taken.receipt}"},
        _JSON,
    )


async def _answer_array(documents: list[Any], give: Give, remark: Remarks) -> Response:
    """An answer an item, in order: a bad one does not keep the others from being taken."""
    answers: list[dict[str, Any]] = []
    reports: list[ReportSubmitted] = []
    for document in documents:
        report = _report(document)
        if isinstance(report, list):
            answers.append({"status": 422, "errors": report})
        else:
            reports.append(report)
            found = remark(report)
            answers.append({"status": 202, **({"remarks": found} if found else {})})
    taken = iter(await give(reports))
    for answer in answers:
        if answer["status"] == 202:
            answer.update(next(taken)._asdict())
    body = {
        "taken": len(reports),
        "refused": len(documents) - len(reports),
        "items": answers,
    }
    return Response(to_json(body), 202, media_type=_JSON)


def _report(document: Any) -> ReportSubmitted | list[dict[str, str]]:
    """The report in a JSON value, or what is wrong with it, by field."""
    if not isinstance(document, dict):
        return [{"pointer": "", "message": "A report is a JSON object"}]
    try:
        return ReportSubmitted.model_validate(document)
    except ValidationError as error:
        return field_errors(error.errors(include_url=False, include_input=False))
