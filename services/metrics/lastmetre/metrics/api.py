"""HTTP in: the indicators, as JSON and for Prometheus, and the facts of single cases."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic_core import to_json
from starlette.responses import Response

from lastmetre.common.contracts.base import Day, Origin
from lastmetre.common.postgres.database import ACQUIRE_TIMEOUT_SECONDS
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Role
from lastmetre.common.service.host import ServiceHost
from lastmetre.common.web.accept import weighted
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.metrics.domain.fact import Fact
from lastmetre.metrics.domain.indicators import Dimension, FixedOnSpot, Selection
from lastmetre.metrics.indicators import work_out
from lastmetre.metrics.json_view import json_view
from lastmetre.metrics.prometheus_view import prometheus_view
from lastmetre.metrics.store import facts

STAFF: Final = (Role.SUPERVISOR, Role.OPERATOR, Role.ADMINISTRATOR)
SERVICES: Final = ServiceKey("intake", "dispatch", "notify", "metrics", "prometheus")
"""Prometheus has a key of its own: a supervisor's token could reopen cases."""
MOST_DIMENSIONS: Final = 2
MOST_FACTS: Final = 5000


class Format(StrEnum):
    """How the indicators are written."""

    JSON = "json"
    PROMETHEUS = "prometheus"


def api_router(host: ServiceHost, zone: ZoneInfo) -> APIRouter:
    """`/indicators` and `/api/metrics/v1`. `zone` is the city's."""
    router = APIRouter(route_class=GuardedRoute)

    @router.get("/indicators")
    @allow(*STAFF, SERVICES)
    async def indicators(
        request: Request,
        first: Annotated[Day | None, Query(alias="from")] = None,
        last: Annotated[Day | None, Query(alias="to")] = None,
        by: Annotated[list[str] | None, Query()] = None,
        origin: Origin | None = None,
        fixed_on_spot: FixedOnSpot = FixedOnSpot.WITHOUT,
        format: Format | None = None,
    ) -> Response:
        dimensions = _dimensions(by or [])
        selection = Selection(first, last, origin, fixed_on_spot)
        found = await work_out(host.pool, selection, dimensions, host.clock.now())
        accepted = request.headers.get("accept", "")
        headers = {"Cache-Control": "no-store", "Vary": "Accept"}
        if format is Format.PROMETHEUS or (format is None and _prefers_text(accepted)):
            return Response(prometheus_view(found), headers=headers, media_type=CONTENT_TYPE_LATEST)
        return _json(json_view(found, zone), headers)

    @router.get("/api/metrics/v1/cases/{case_id}")
    @allow(*STAFF, SERVICES)
    async def case(case_id: UUID) -> Response:
        async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            fact = await facts.one(connection, case_id)
        if fact is None:
            raise Problem(404, "/problems/unknown-case", N_("There is no such case"))
        return _json(_fact(fact))

    @router.get("/api/metrics/v1/facts")
    @allow(*STAFF, SERVICES)
    async def page(
        after: UUID | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_FACTS)] = 1000,
    ) -> Response:
        async with host.pool.acquire(timeout=ACQUIRE_TIMEOUT_SECONDS) as connection:
            found = await facts.page(connection, after, limit)
        following = str(found[-1].case_id) if len(found) == limit else None
        return _json({"facts": [_fact(fact) for fact in found], "next": following})

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


def _json(document: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(to_json(document), headers=headers, media_type="application/json")


def _fact(fact: Fact) -> dict[str, Any]:
    """All fields; and the response times of the whole way, None where there is none."""
    counts = fact.closed_at is not None and not fact.closed_before_reported
    whole = (fact.closed_at - fact.reported_at).total_seconds() if fact.closed_at else None
    return fact._asdict() | {"response_seconds": whole if counts else None}
