"""The development stack: real Kafka, real PostgreSQL and the services, on this machine.

Names are imported when they are asked for: most commands only talk to a stack, and start sooner.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lastmetre.cli.endpoints import Endpoints
    from lastmetre.devstack.errors import StackError
    from lastmetre.devstack.stack import Stack

__all__ = ["Endpoints", "Stack", "StackError"]

_PLACES = {
    "Endpoints": "lastmetre.cli.endpoints",
    "Stack": "lastmetre.devstack.stack",
    "StackError": "lastmetre.devstack.errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
