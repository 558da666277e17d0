"""What the services' logs say while a test runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack


@contextmanager
def nothing_unexpected(stack: Stack) -> Iterator[None]:
    """Raises AssertionError if a service was surprised: an exception that nobody foresaw."""
    begins = {service: stack.log(service).stat().st_size for service in SERVICES}
    yield
    for service, begin in begins.items():
        with stack.log(service).open("rb") as log:
            log.seek(begin)
            surprised = [
                line for line in log if b"Traceback" in line or b'"event": "unexpected' in line
            ]
        assert not surprised, (service, surprised)
