"""A limit to what comes before a request's body, which uvicorn's quick parser does not have."""

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from asyncio import Transport

HEAD_BYTES: Final = 64 * 1024
_REFUSAL: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: application/problem+json\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b"
)
_PROBLEM: Final = (
    b'{"type":"/problems/head-too-large","title":"The address and headers of this request are too'
    b' large","status":431,"limit_bytes":%d}' % HEAD_BYTES
)


class HeaderLimitProtocol(HttpToolsProtocol):
    """Ends a connection whose request line and headers come to more than HEAD_BYTES.

    Counted by what is received: a head that is complete with its first piece goes through.
    """

    def connection_made(self, transport: "Transport") -> None:  # type: ignore[override]
        """A head comes first."""
        self._in_head = True
        self._head_bytes = 0
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Read on, or refuse."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._in_head and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(_REFUSAL % (len(_PROBLEM), _PROBLEM))
            self.transport.close()

    def on_headers_complete(self) -> None:
        """What follows is the body, and bodies have limits of their own."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The next request's head follows."""
        self._in_head = True
        self._head_bytes = 0
        super().on_message_complete()
