"""HTTP in: the indicators, as JSON and for Prometheus, and the facts of single cases."""

from enum import StrEnum
from typing import Annotated, Any, Final, get_type_hints
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Header, Query
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, create_model
from starlette.responses import Response

from lastmetre.common.contracts.base import Day, Origin
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import CENTRE
from lastmetre.common.web.accept import weighted
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.metrics.application.indicators import WorkOutIndicators
from lastmetre.metrics.application.read_facts import ReadFacts
from lastmetre.metrics.domain.fact import Fact
from lastmetre.metrics.domain.indicators import Dimension, FixedOnSpot, Selection
from lastmetre.metrics.entrypoints.json_view import IndicatorsDocument, json_view
from lastmetre.metrics.entrypoints.prometheus_view import prometheus_view

SERVICES: Final = ServiceKey("intake", "dispatch", "notify", "metrics")
SERVICES_AND_PROMETHEUS: Final = ServiceKey("intake", "dispatch", "notify", "metrics", "prometheus")
"""Prometheus has a key of its own, for figures alone: a supervisor's token could reopen cases."""
MOST_DIMENSIONS: Final = 2
MOST_FACTS: Final = 5000


class Format(StrEnum):
    """How the indicators are written."""

    JSON = "json"
    PROMETHEUS = "prometheus"


_FIELDS: Final[dict[str, Any]] = {name: (kind, ...) for name, kind in get_type_hints(Fact).items()}


class FactDocument(create_model("Fact", **_FIELDS)):  # type: ignore[misc]
    """All facts of a case; `response_seconds` is the whole way's, None where there is none."""

    response_seconds: float | None


class FactsPage(BaseModel):
    """Facts, and after which the next page begins; None on the last."""

    facts: list[FactDocument]
    next: UUID | None


def api_router(work_out: WorkOutIndicators, facts: ReadFacts, zone: ZoneInfo) -> APIRouter:
    """`/indicators` and `/api/metrics/v1`. `zone` is the city's."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get(
        "/indicators",
        dependencies=allow(*CENTRE, SERVICES_AND_PROMETHEUS),
        response_model=IndicatorsDocument,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
        tags=["indicators"],
    )
    async def indicators(
        first: Annotated[Day | None, Query(alias="from")] = None,
        last: Annotated[Day | None, Query(alias="to")] = None,
        by: Annotated[list[str] | None, Query()] = None,
        origin: Origin | None = None,
        fixed_on_spot: FixedOnSpot = FixedOnSpot.WITHOUT,
        format: Format | None = None,
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        """The indicators as JSON, or for Prometheus as `format` or Accept ask for."""
        dimensions = _dimensions(by or [])
        selection = Selection(first, last, origin, fixed_on_spot)
        found = await work_out(selection, dimensions)
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if format is Format.PROMETHEUS or (format is None and _prefers_text(accept)):
            return Response(prometheus_view(found), headers=headers, media_type=CONTENT_TYPE_LATEST)
        body = json_view(found, zone).model_dump_json(by_alias=True)
        return Response(body, headers=headers, media_type="application/json")

    @router.get(
        "/api/metrics/v1/cases/{case_id}",
        dependencies=allow(*CENTRE, SERVICES),
        tags=["facts"],
    )
    async def fact_of_case(case_id: UUID) -> FactDocument:
        """The facts of one case."""
        fact = await facts.of_case(case_id)
        if fact is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        return _fact(fact)

    @router.get("/api/metrics/v1/facts", dependencies=allow(*CENTRE, SERVICES), tags=["facts"])
    async def page_of_facts(
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_FACTS)] = 1000,
    ) -> FactsPage:
        """The facts of cases in order of their ids; `next` is the next page's `after`."""
        found = await facts.page(after, limit)
        following = found[-1].case_id if len(found) == limit else None
        return FactsPage(facts=[_fact(fact) for fact in found], next=following)

    return router


def _dimensions(names: list[str]) -> list[Dimension]:
    """What to group by: `by=channel&by=day` or `by=channel,day`."""
    wanted = [name for each in names for name in each.split(",") if name]
    known = {each.value: each for each in Dimension}
    distinct = len({*wanted}) == len(wanted) <= MOST_DIMENSIONS
    if not distinct or not known.keys() >= {*wanted}:
        raise Problem(
            422,
            "/problems/invalid",
            N_("Something in the request is not right"),
            N_("by takes up to two of these: %(dimensions)s"),
            extra={"dimensions": ", ".join(known)},
        )
    return [known[name] for name in wanted]


def _prefers_text(accept: str) -> bool:
    """Whether an Accept header puts Prometheus' formats before JSON, as its scraper does."""
    weights = dict(weighted(accept))
    text = max(weights.get("text/plain", 0.0), weights.get("application/openmetrics-text", 0.0))
    return text > weights.get("application/json", 0.0)


def _fact(fact: Fact) -> FactDocument:
    return FactDocument(**fact._asdict(), response_seconds=fact.response_seconds)
