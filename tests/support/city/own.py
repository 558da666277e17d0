"""Services of their own on the session's broker and database server."""

import secrets
from pathlib import Path

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack
from tests.support.databases import fresh_database


def own_city(shared: Stack, home: Path) -> Stack:
    """A stack with its own topics, databases and keys, not started yet."""
    return Stack(home, environment=own_environment(shared))


def own_environment(shared: Stack) -> dict[str, str]:
    """Topics and databases of its own."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": shared.endpoints.bootstrap_servers,
        "LASTMETRE_TOPIC_PREFIX": f"city{secrets.token_hex(3)}.",
        **{f"{each.upper()}_DATABASE_URL": fresh_database(shared, each) for each in SERVICES},
    }
