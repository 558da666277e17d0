"""The development stack: real Kafka, real PostgreSQL and the services, on this machine.

`Stack` is imported when it is asked for: most commands only talk to a stack, and start sooner.
"""

from typing import TYPE_CHECKING, Any

from cli.stack.errors import StackError

if TYPE_CHECKING:
    from cli.stack.stack import Stack

__all__ = ["Stack", "StackError"]


def __getattr__(name: str) -> Any:
    if name == "Stack":
        from cli.stack.stack import Stack

        return Stack
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
