"""What the services' logs say while a test runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack


def complaints(log: bytes) -> list[dict[str, Any]]:
    """The lines at level error or worse; what is no line of ours, a traceback, is one."""
    found: list[dict[str, Any]] = []
    for line in log.splitlines():
        said: dict[str, Any] = {"level": "critical", "line": line.decode("utf-8", "replace")}
        with suppress(ValueError):
            said = json.loads(line)
        if said["level"] in ("error", "critical"):
            found.append(said)
    return found


@contextmanager
def nothing_unexpected(stack: Stack) -> Iterator[None]:
    """Raises AssertionError if a service was surprised: an exception that nobody foresaw."""
    begins = {service: stack.log(service).stat().st_size for service in SERVICES}
    yield
    for service, begin in begins.items():
        surprised = [
            each
            for each in complaints(stack.log(service).read_bytes()[begin:])
            if "exception" in each or "line" in each
        ]
        assert not surprised, (service, surprised)
