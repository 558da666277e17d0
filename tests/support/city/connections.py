"""What everybody in a city needs: topics, databases, HTTP and credentials of a running stack."""

from collections.abc import Mapping
from typing import Any, Self

import asyncpg
import httpx

from tests.support.admin_port import is_internal
from tests.support.city.credentials import Credentials
from tests.support.city.records import Records
from tests.support.city.waiting import eventually


class Connections(Records):
    """To the services of one stack, as `endpoints.json` describes it, for `async with`."""

    until = staticmethod(eventually)

    def __init__(self, endpoints: Mapping[str, Any]) -> None:
        super().__init__(endpoints["KAFKA_BOOTSTRAP_SERVERS"], endpoints["topic_prefix"])
        self.endpoints = endpoints
        self.http = httpx.AsyncClient(timeout=30)
        self.credentials = Credentials(
            endpoints["token_key"],
            endpoints["link_key"],
            endpoints["channel_keys"],
            endpoints["service_keys"],
            endpoints["access_key"],
        )
        self.links = self.credentials.links
        self.bearer = self.credentials.bearer
        self._databases: dict[str, asyncpg.Connection[asyncpg.Record]] = {}

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
        for connection in self._databases.values():
            await connection.close(timeout=5)
        await self.http.aclose()

    def url(self, service: str, path: str) -> str:
        """Where a service answers that path."""
        return f"{self.base(service, path)}{path}"

    def base(self, service: str, path: str) -> str:
        """The port that answers that path: the admin port, if it is internal."""
        admin: str = self.endpoints["admin"][service][0]
        public: str = self.endpoints["services"][service]
        return admin if is_internal(path) else public

    async def database(self, service: str) -> "asyncpg.Connection[asyncpg.Record]":
        """A connection as the owner of that service's database."""
        connection = self._databases.get(service)
        if connection is None or connection.is_closed():
            connection = await asyncpg.connect(self.endpoints["databases"][service])
            self._databases[service] = connection
        return connection
