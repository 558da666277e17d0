"""Where a sign-in leads on to: our own pages, and nowhere else."""

from collections.abc import Iterable
from urllib.parse import urlsplit


class ReturnAddresses:
    """`origins` are the beginnings of the public addresses of our pages."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._origins = {urlsplit(each)[:2] for each in origins if each}

    def checked(self, address: str | None) -> str | None:
        """`address` if it is a path here or on one of our pages' hosts, else None."""
        # Browsers read a backslash as a slash, and pass over control characters.
        if not address or "\\" in address or not address.isprintable():
            return None
        try:
            scheme, host, path, _, _ = urlsplit(address)
        except ValueError:
            return None
        if not scheme and not host:
            return address if path.startswith("/") and not address.startswith("//") else None
        return address if (scheme, host) in self._origins else None
