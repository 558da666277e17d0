"""What of the services' public ports a proxy publishes: prefixes of paths, on two hosts.

There are two since intake has `/cases/{receipt}` for partners and dispatch `/cases/{number}` for
staff; and the staff's host may be in a city's inner network. Everything else is published nowhere:
neither `/`, nor `/api`, nor an admin port. The longest prefix counts.
"""

from collections.abc import Mapping
from typing import Final

RESIDENTS: Final[Mapping[str, str]] = {
    "/report": "intake",
    "/progress": "intake",
    "/cases": "intake",
    "/channels": "intake",
    "/rate": "notify",
}
"""By prefix the service, on the host of residents and partners."""
STAFF: Final[Mapping[str, str]] = {
    "/work": "dispatch",
    "/centre": "dispatch",
    "/cases": "dispatch",
    "/network": "dispatch",
    "/sign-in": "intake",
    "/sign-out": "intake",
    "/board": "metrics",
    "/indicators": "metrics",
    "/messages": "notify",
    # What pages of intake and notify load there.
    "/report/static": "intake",
    "/rate/static": "notify",
}
"""The same on the host of staff."""


def published_by(host: Mapping[str, str], path: str) -> str | None:
    """The service that a path leads to on a host; None for what is not published there."""
    parts = path.partition("?")[0].split("/")
    prefixes = ("/".join(parts[:length]) for length in range(len(parts), 1, -1))
    return next((host[each] for each in prefixes if each in host), None)
