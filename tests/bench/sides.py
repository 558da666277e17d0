"""The two sides of the comparison, brought up and taken down in the same way."""

import asyncio
import base64
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from lastmetre.cli.endpoints import Endpoints
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.migrate import migrate
from lastmetre.common.security.callers import Role
from lastmetre.common.security.tokens import issue_token
from lastmetre.devstack import Stack
from tests.bench.ground import Ground, Plot
from tests.bench.processes import Child, Failed

READY_SECONDS: Final = 60.0
LEAD: Final = {
    "lead_id": "L01",
    "name": {"zh": "李敏", "en": "Li Min"},
    "post": {"zh": "片长", "en": "Area lead"},
}
AREA: Final = {
    "area_id": "A01",
    "name": {"zh": "滨江片区", "en": "Riverside"},
    "outline": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]},
    "lead": LEAD,
}
CONTACT: Final = {"lead_id": "L01", "phone": "13900139000"}
SETTINGS: Final = {"NOTIFY_PROVIDER": "sink"}


class Processes(Protocol):
    """The service processes of one side, in one plot."""

    async def start(self, plot: Plot) -> None:
        """Start them; returns when they are ready."""

    async def stop(self) -> None:
        """Stop them in their orderly way."""

    @property
    def parts(self) -> dict[str, int]:
        """Process ids by service."""

    def check(self) -> None:
        """Raise Failed if one has ended."""


class Floor:
    """The bare program, a process for each service."""

    def __init__(self, ground: Ground, home: Path) -> None:
        self._ground = ground
        self._children = {s: Child(f"floor {s}", home / f"floor-{s}.log") for s in SERVICES}

    @property
    def parts(self) -> dict[str, int]:
        """Process ids by service."""
        return {service: child.pid for service, child in self._children.items()}

    async def start(self, plot: Plot) -> None:
        """Make the services' own tables, then start the four processes."""
        environment = plot.environment | {"KAFKA_BOOTSTRAP_SERVERS": self._ground.bootstrap}
        for service, child in self._children.items():
            await migrate(plot.databases[service], ("common.runtime", service))
            await child.start([sys.executable, "-m", "tests.bench.floor", service], environment)
        for child in self._children.values():
            await child.line(READY_SECONDS)

    def check(self) -> None:
        """Raise Failed if one has ended."""
        for child in self._children.values():
            child.check()

    async def stop(self) -> None:
        """Stop them."""
        await asyncio.gather(*(child.stop() for child in self._children.values()))


class Platform:
    """The services, started by the stack, with one area and its lead."""

    def __init__(self, ground: Ground, home: Path, services: tuple[str, ...] = SERVICES) -> None:
        self._ground = ground
        self._home = home / "platform"
        self._services = services
        self._stack: Stack | None = None
        self._begun: dict[str, int] = {}

    @property
    def _running(self) -> Stack:
        assert self._stack is not None
        return self._stack

    @property
    def parts(self) -> dict[str, int]:
        """Process ids by service."""
        return {service: self._running.pid(service) for service in self._services}

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to post reports."""
        endpoints = self._running.endpoints
        return {
            "BENCH_INTAKE_URL": endpoints.services["intake"],
            "BENCH_CHANNEL_KEY": endpoints.channel_keys[Channel.HOTLINE],
        }

    async def start(self, plot: Plot) -> None:
        """Start the services on the ground's broker and database, and make the network."""
        wanted = plot.environment | {"KAFKA_BOOTSTRAP_SERVERS": self._ground.bootstrap} | SETTINGS
        scale = {service: int(service in self._services) for service in SERVICES}
        self._stack = Stack(self._home, scale=scale, environment=wanted)
        await asyncio.to_thread(self._stack.start)
        self._begun = self.parts
        if "dispatch" in self._services:
            await _make_network(self._stack.endpoints)

    def check(self) -> None:
        """Raise Failed if one has ended: the stack begins it anew."""
        for service, pid in self.parts.items():
            if pid != self._begun[service]:
                raise Failed(f"{service} has ended: {self._running.log(service)}")

    async def stop(self) -> None:
        """Let them drain, then end."""
        if self._stack is not None:
            await asyncio.to_thread(self._stack.stop)
            self._stack = None


async def _make_network(endpoints: Endpoints) -> None:
    """One area around the point of all reports; its lead can be reached."""
    key = endpoints.token_key
    token = issue_token(
        base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)),
        "bench",
        Role.ADMINISTRATOR,
        None,
        datetime.now(UTC),
        timedelta(hours=1),
    )
    bodies: Mapping[str, Any] = {
        f"{endpoints.admin['intake'][0]}/api/intake/v1/lead-contacts": {"contacts": [CONTACT]},
        f"{endpoints.services['dispatch']}/network": {"areas": [AREA]},
    }
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        for url, body in bodies.items():
            answer = await client.put(
                url,
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )
            answer.raise_for_status()
