"""OpenAPI for programs at `openapi.json`, and for people at `docs`: Swagger UI, from here."""

from typing import Any, Final

from fastapi import APIRouter, FastAPI
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from lastmetre.common.security.access import Anyone, GuardedRoute, allow, open_to_anyone

_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="stylesheet" href="{prefix}/docs/static/swagger-ui.css"></head>
<body><div id="swagger-ui" data-url="{prefix}/openapi.json"></div>
<script src="{prefix}/docs/static/swagger-ui-bundle.js"></script>
<script src="{prefix}/docs/start.js"></script></body></html>
"""
_START: Final = """"use strict";
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({domNode: place, url: place.dataset.url, deepLinking: true});
"""


@open_to_anyone
class _SwaggerFiles:
    """The files that the package fastapi-offline holds."""

    def __init__(self) -> None:
        self._files = StaticFiles(packages=[("fastapi_offline", "static")])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._files(scope, receive, send)


def serve_openapi(app: FastAPI, prefix: str) -> None:
    """Serve `app`'s document and its viewer below `prefix`, to anyone."""
    router = APIRouter(prefix=prefix, route_class=GuardedRoute, include_in_schema=False)

    @router.get("/openapi.json", dependencies=allow(Anyone()))
    async def openapi() -> JSONResponse:
        document: dict[str, Any] = app.openapi()
        return JSONResponse(document)

    @router.get("/docs", dependencies=allow(Anyone()))
    async def docs() -> HTMLResponse:
        return HTMLResponse(_PAGE.format(title=app.title, prefix=prefix))

    @router.get("/docs/start.js", dependencies=allow(Anyone()))
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    app.include_router(router)
    app.mount(f"{prefix}/docs/static", _SwaggerFiles())
