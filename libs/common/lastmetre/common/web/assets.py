"""Static files: read and compressed once, at start; their addresses hold their hash."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from lastmetre.common.security.access import open_to_anyone

# The order is the cascade's.
STYLE_SHEETS = (
    "tokens",
    "dark",
    "base",
    "frame",
    "controls",
    "status",
    "timeline",
    "map",
    "chart",
    "resident",
    "lead",
    "centre",
    "board",
    "messages",
    "print",
)
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
    ".jpg": "image/jpeg",
}
_COMPRESSED = frozenset({".css", ".js", ".svg"})


@dataclass(frozen=True, slots=True)
class Asset:
    """One file as served."""

    body: bytes
    compressed: bytes | None
    media_type: str
    version: str


def _asset(suffix: str, body: bytes) -> Asset:
    return Asset(
        body=body,
        compressed=gzip.compress(body, 9, mtime=0) if suffix in _COMPRESSED else None,
        media_type=_MEDIA_TYPES[suffix],
        version=hashlib.sha256(body).hexdigest()[:12],
    )


def read_assets(directory: Path) -> dict[str, Asset]:
    """The servable files below a folder by their path in it; none if there is no such folder."""
    return {
        path.relative_to(directory).as_posix(): _asset(path.suffix, path.read_bytes())
        for path in sorted(directory.rglob("*"))
        if path.suffix in _MEDIA_TYPES
    }


def kit_assets(directory: Path) -> dict[str, Asset]:
    """The kit's own files, its style sheets put together as `lm.css`."""
    assets = read_assets(directory)
    tokens, dark, *rest = (assets.pop(f"css/{name}.css").body for name in STYLE_SHEETS)
    parts = [tokens, _dark_twice(dark), *rest]
    return assets | {"lm.css": _asset(".css", b"\n".join(parts))}


def _dark_twice(dark: bytes) -> bytes:
    """The dark tokens, written once for `:root[data-theme=dark]`, also for who prefers dark.

    On screens only, so that print is always light.
    """
    preferred = dark.replace(b"[data-theme=dark]", b":not([data-theme=light])")
    return (
        b"@media screen{" + dark + b"}\n"
        b"@media screen and (prefers-color-scheme:dark){" + preferred + b"}"
    )


@open_to_anyone
class StaticFiles:
    """Serves assets by path. An address with the right `v` may be kept for a year."""

    def __init__(self, assets: Mapping[str, Asset]) -> None:
        self._assets = assets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        # Inside a mount, `path` is the whole path and `root_path` what the mount took of it.
        name = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
        await self._answer(request, self._assets.get(name))(scope, receive, send)

    def _answer(self, request: Request, asset: Asset | None) -> Response:
        if asset is None:
            return Response(status_code=404)
        if request.method not in ("GET", "HEAD"):
            return Response(status_code=405, headers={"Allow": "GET, HEAD"})
        current = request.query_params.get("v") == asset.version
        headers = {
            "ETag": f'"{asset.version}"',
            "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        body = asset.body
        if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = asset.compressed
            headers["Content-Encoding"] = "gzip"
        return Response(body, headers=headers, media_type=asset.media_type)
