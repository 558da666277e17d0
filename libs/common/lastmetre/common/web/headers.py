"""Security headers on every answer, by a small pure-ASGI middleware."""

from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ONLY_BY_TLS = b"strict-transport-security", b"max-age=31536000"


class SecurityHeaders:
    """Adds the headers to each HTTP response: nothing inline, nothing from elsewhere, no framing.

    `form_targets` are the origins a form may lead to. Chromium looks at redirects after it too.
    """

    def __init__(self, app: ASGIApp, form_targets: Iterable[str] = ("'self'",)) -> None:
        self._app = app
        policy = (
            "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
            f"form-action {' '.join(form_targets)}; frame-ancestors 'none'"
        )
        self._headers = [
            (b"content-security-policy", policy.encode()),
            (b"referrer-policy", b"no-referrer"),
            (b"x-content-type-options", b"nosniff"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                secure = [_ONLY_BY_TLS] if scope.get("scheme") == "https" else []
                message["headers"] = [*message.get("headers", ()), *self._headers, *secure]
            await send(message)

        await self._app(scope, receive, send_with_headers)
