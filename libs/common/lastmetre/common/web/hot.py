"""A way past the framework's layers for a route that is called thousands of times a second.

Matching, dependency and exception layers cost as much there as guard and endpoint together. The
route stays declared as any other; this only answers it sooner, behind the same guard.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lastmetre.common.security.access import admit, rules_of
from lastmetre.common.web.headers import SecurityHeaders
from lastmetre.common.web.problems import Problem, UnexpectedErrors, answer

Endpoint = Callable[[Request], Awaitable[Response]]


class HotPaths:
    """Answers POSTs to `paths`, each with its path parameters, by `endpoint`; the rest is `app`'s.

    It stands before the application, with security headers and an answer to unexpected errors of
    its own. The endpoint must be one for keys or roles in a header, and refuse by Problem.
    """

    def __init__(
        self, app: FastAPI, *, endpoint: Endpoint, paths: Mapping[str, Mapping[str, Any]]
    ) -> None:
        self._app = app
        self._answer = SecurityHeaders(UnexpectedErrors(self._at_once, None))
        self._endpoint = endpoint
        self._paths = {path: dict(parameters) for path, parameters in paths.items()}
        self._rules = rules_of(endpoint, ", ".join(self._paths))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        parameters = self._paths.get(scope["path"])
        if parameters is None:
            await self._app(scope, receive, send)
            return
        scope["app"] = self._app
        scope["path_params"] = parameters
        await self._answer(scope, receive, send)

    async def _at_once(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            request.state.principal = admit(request, self._rules)
            response = await self._endpoint(request)
        except Problem as problem:
            response = answer(request, problem, None)
        await response(scope, receive, send)
