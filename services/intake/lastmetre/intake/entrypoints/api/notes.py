"""Staff's notes by HTTP, for dispatch."""

from fastapi import APIRouter

from lastmetre.common.contracts.vault import VAULT_PREFIX, Notes, NotesAsked, NoteSent
from lastmetre.common.security.access import GuardedRoute, ServiceKey, allow
from lastmetre.common.web.problems import Problem
from lastmetre.common.web.words import N_
from lastmetre.intake.application.keep_notes import KeepNotes
from lastmetre.intake.entrypoints.api.vault import PRIVATE


def notes_router(notes: KeepNotes) -> APIRouter:
    """Keep, read, take back."""
    router = APIRouter(prefix=VAULT_PREFIX, route_class=GuardedRoute, tags=["vault"])
    dispatch = [*allow(ServiceKey("dispatch")), PRIVATE]

    @router.post("/notes", dependencies=dispatch, status_code=204)
    async def keep(sent: NoteSent) -> None:
        """Keep a note; sent again, the first counts. 404 where the report's data were erased."""
        if not await notes.keep(sent):
            raise Problem(404, "about:blank", N_("There is nothing here"))

    @router.post("/notes/look", dependencies=dispatch)
    async def read(asked: NotesAsked) -> Notes:
        """What was noted."""
        return await notes.read(asked)

    @router.post("/notes/take-back", dependencies=dispatch, status_code=204)
    async def take_back(asked: NotesAsked) -> None:
        """Erase notes that never stood on a case."""
        await notes.take_back(asked)

    return router
