"""`/livez`, `/readyz` and `/metrics`."""

from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from pydantic import AwareDatetime, BaseModel
from starlette.responses import PlainTextResponse

from lastmetre.common.security.access import Anyone, GuardedRoute, allow
from lastmetre.common.service.build_info import BuildInfo
from lastmetre.common.service.clock import Clock
from lastmetre.common.service.host import ServiceHost


class Health(BaseModel):
    """Whether all is well, what is missing, which build says so, and what time it is there."""

    status: Literal["ok", "unavailable"]
    missing: list[str]
    version: str
    revision: str
    time: AwareDatetime


_UNAVAILABLE: Final[dict[int | str, dict[str, Any]]] = {
    503: {"model": Health, "description": "What is missing"}
}


def health_router(host: ServiceHost, build: BuildInfo, clock: Clock) -> APIRouter:
    """Open to anyone who reaches the admin port. `clock` is the machine's own."""
    router = APIRouter(route_class=GuardedRoute, tags=["health"])

    def verdict(missing: Sequence[str], response: Response) -> Health:
        response.status_code = 503 if missing else 200
        status: Literal["ok", "unavailable"] = "unavailable" if missing else "ok"
        return Health(status=status, missing=list(missing), time=clock.now(), **build._asdict())

    @router.get("/livez", dependencies=allow(Anyone()), responses=_UNAVAILABLE)
    async def livez(response: Response) -> Health:
        """Fails only for a loop that neither works nor waits."""
        return verdict(host.alive(), response)

    @router.get("/readyz", dependencies=allow(Anyone()), responses=_UNAVAILABLE)
    async def readyz(response: Response, all: str | None = None) -> Health:
        """May this process be given requests; with `?all`, does everything in it work."""
        if all is None:
            return verdict(host.serving(), response)
        return verdict([each for said in host.checks().values() for each in said], response)

    @router.get("/metrics", dependencies=allow(Anyone()), response_class=PlainTextResponse)
    async def metrics(request: Request) -> Response:
        """For Prometheus, as it asks for it; OpenMetrics has exemplars where spans are made."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(REGISTRY), media_type=content_type)

    return router
