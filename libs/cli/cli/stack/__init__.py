"""The development stack: real Kafka, real PostgreSQL and the services, on this machine."""

from cli.stack.endpoints import Endpoints
from cli.stack.errors import StackError
from cli.stack.stack import Stack

__all__ = ["Endpoints", "Stack", "StackError"]
