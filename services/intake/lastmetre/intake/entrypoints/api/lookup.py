"""`POST /api/intake/v1/lookup`: what became of a sender's own ids."""

from fastapi import APIRouter

from lastmetre.common.contracts.lookup import Lookup, LookupAsked
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.security.callers import Role
from lastmetre.intake.application.look_up_reports import LookUpReports


def lookup_router(look_up: LookUpReports) -> APIRouter:
    """For imports and replays, which know no other ids."""
    router = APIRouter(prefix="/api/intake/v1", route_class=GuardedRoute, tags=["lookup"])

    @router.post(
        "/lookup",
        dependencies=allow(Role.ADMINISTRATOR, ServiceKey(*SERVICES)),
        response_model_exclude_unset=True,
    )
    async def lookup(asked: LookupAsked) -> Lookup:
        """What became of a sender's own ids."""
        return await look_up(asked)

    return router
