"""What stands in for intake's vault where notify is alone."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lastmetre.devstack.ports import free_port


@dataclass
class VaultStandIn:
    """Answers as intake's vault does, from a table; can be away."""

    service_key: str
    contacts: dict[str, dict[str, str]] = field(default_factory=dict)
    away: bool = False
    questions: int = 0
    """How often it has answered."""
    refused: int = 0
    """How often it was asked while it was away."""
    asked: Counter[str] = field(default_factory=Counter)
    port: int = field(default_factory=free_port)

    async def answer(self, request: Request) -> Response:
        """The contacts that are asked for, as far as there are some."""
        if request.headers["authorization"] != f"Bearer {self.service_key}":
            return Response(status_code=401)
        if self.away:
            self.refused += 1
            return Response(status_code=503)
        body = await request.json()
        self.questions += 1
        self.asked.update([*body["report_ids"], *body["lead_ids"]])

        def known(ids: Iterable[str]) -> dict[str, dict[str, str]]:
            return {each: self.contacts[each] for each in ids if each in self.contacts}

        return JSONResponse(
            {"reports": known(body["report_ids"]), "leads": known(body["lead_ids"])}
        )

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answers as long as the block runs."""
        app = Starlette(routes=[Route("/api/intake/v1/contacts", self.answer, methods=["POST"])])
        server = uvicorn.Server(uvicorn.Config(app, port=self.port, log_level="error"))
        task = asyncio.create_task(server.serve())
        try:
            yield
        finally:
            server.should_exit = True
            await task
