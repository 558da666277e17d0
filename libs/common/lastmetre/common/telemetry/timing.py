"""Durations of calls and of HTTP requests, as the registry's histograms."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lastmetre.common.telemetry import metrics
from lastmetre.common.telemetry.traces import TRACES

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE: Final = "none"
"""The route of a path that the service does not have."""


@contextmanager
def timed(histogram: Histogram, *labels: str) -> Iterator[None]:
    """Observe the block with these labels and its result: `ok`, or `failed` if it raises."""
    began = perf_counter()
    result = "failed"
    try:
        yield
        result = "ok"
    finally:
        histogram.labels(*labels, result).observe(perf_counter() - began, TRACES.exemplar())


def method_of(scope: Scope) -> str:
    """The request's method, or `other` for one that nobody knows."""
    method: str = scope["method"]
    return method if method in _METHODS else "other"


def route_of(scope: Scope) -> str:
    """The pattern of the route that has answered; of a path below static files where they begin."""
    # Inside a mount there is no route, and `root_path` is what the mount took of the path.
    return getattr(scope.get("route"), "path", None) or scope.get("root_path") or NO_ROUTE


class MeasuredRequests:
    """Observes every request to `app`, when its answer begins: a stream has no end.

    The route is its pattern, of a path below static files where these begin; the status is its
    class, `2xx` to `5xx`. Nobody who asks can make new series: what is not known is `none`. Of
    `routes` (method and pattern) there are the errors, `5xx`, from the start.
    """

    def __init__(self, app: ASGIApp, service: str, routes: Iterable[tuple[str, str]] = ()) -> None:
        self._app = app
        self._service = service
        self._known: dict[tuple[str, str, int], Histogram] = {}
        for method, route in routes:
            self._series(method, route, 5)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        answered = False

        async def observed(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                self._observe(scope, message["status"], perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:
            if not answered:
                self._observe(scope, 500, perf_counter() - began)
            raise

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        series = self._series(method_of(scope), route_of(scope), status // 100)
        series.observe(seconds, TRACES.exemplar())

    def _series(self, method: str, route: str, status: int) -> Histogram:
        """Kept here: looking it up by its labels costs as much again as observing."""
        child = self._known.get((method, route, status))
        if child is None:
            child = metrics.HTTP.labels(self._service, method, route, f"{status}xx")
            self._known[method, route, status] = child
        return child
