"""A TLS context that reads its files again when they have changed."""

import ssl
from pathlib import Path
from typing import Any, Self

import structlog

from lastmetre.common.kafka.access import TlsFiles

log = structlog.get_logger()

Stamp = tuple[tuple[int, int, int], ...]


def _stamp(files: TlsFiles) -> Stamp:
    found = (_stat(path) for path in (files.authority, files.certificate, files.key) if path)
    return tuple(found)


def _stat(path: Path) -> tuple[int, int, int]:
    # The inode too: a mounted secret is renewed by another file in its place.
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_context(files: TlsFiles) -> ssl.SSLContext:
    """A context for clients, from the files as they are now. Raises OSError (ssl.SSLError)."""
    context = ssl.create_default_context(cafile=files.authority)
    if files.certificate:
        context.load_cert_chain(files.certificate, files.key)
    return context


class RenewingContext(ssl.SSLContext):
    """Each new connection is made with the certificates that are in the files by then.

    asyncio and uvloop ask the context for each connection's `wrap_bio`. An authority that has left
    the file is not trusted any more, which loading into the same context would not do.
    """

    _files: TlsFiles
    _read: Stamp
    _current: ssl.SSLContext

    def __new__(cls, files: TlsFiles) -> Self:
        """Raises OSError for files that cannot be read."""
        made = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        made._files = files
        made._read = _stamp(files)
        made._current = read_context(files)
        return made

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """As ssl.SSLContext."""
        self._renew()
        return self._current.wrap_bio(*arguments, **named)

    def _renew(self) -> None:
        try:
            stamp = _stamp(self._files)
            if stamp == self._read:
                return
            self._current = read_context(self._files)
        except OSError as error:
            # Perhaps only one of a pair has been written yet: the next connection tries again.
            log.warning("TLS files cannot be read; the former are used", error=str(error))
            return
        self._read = stamp
        log.info("TLS files read again")
