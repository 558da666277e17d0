"""One service as processes on topics and in a database of its own."""

import json
import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar, Self

from lastmetre.common.contracts.readers import READERS
from lastmetre.common.contracts.topics import SERVICES, dead_letter_topic
from tests.support.city.credentials import Credentials
from tests.support.city.databases import Database
from tests.support.city.processes import ServiceProcess, start_process
from tests.support.city.records import Records
from tests.support.topics import delete_topics, make_topics


class ServiceAlone(Records, Database):
    """What a test does with one service. `environment` is what its processes are started with."""

    service: ClassVar[str]
    sends_to: ClassVar[tuple[str, ...]] = ()
    """The topics that it writes, but for its dead letters."""

    def __init__(self, bootstrap: str, database_url: str, folder: Path) -> None:
        Records.__init__(self, bootstrap, f"t{secrets.token_hex(4)}.")
        Database.__init__(self, database_url)
        self.folder = folder
        self.credentials = Credentials()
        self.environment: dict[str, str] = {
            **os.environ,
            "LASTMETRE_TOPIC_PREFIX": self.prefix,
            "LASTMETRE_SIGN_IN": "development",
            "LASTMETRE_TOKEN_KEY": self.credentials.token_key,
            "LASTMETRE_ACCESS_KEYS": self.credentials.public_access_key,
            "LASTMETRE_LINK_KEY": self.credentials.link_key,
            "LASTMETRE_SERVICE_KEYS": json.dumps(self.credentials.digests()),
            f"{self.service.upper()}_SERVICE_KEY": self.credentials.services[self.service],
            **{f"{each.upper()}_PUBLIC_URL": f"http://{each}" for each in SERVICES},
        }
        self.processes: list[ServiceProcess] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """The topics that it knows; at the end every process is stopped, and the topics go."""
        topics = {*READERS[self.service], *self.sends_to, dead_letter_topic(self.service)}
        await make_topics(self.bootstrap, self.prefix, topics)
        await self.open()
        try:
            yield self
        finally:
            await self.stop()
            await self.close()
            await delete_topics(self.bootstrap, self.prefix, topics)

    async def start(self, **environment: str) -> ServiceProcess:
        """One more process, ready."""
        process = await self.launch(**environment)
        await process.until_ready()
        return process

    async def launch(self, **environment: str) -> ServiceProcess:
        """One more process, which is not waited for."""
        process = await start_process(
            self.service, self.folder, self.settings_of_a_process() | environment
        )
        self.processes.append(process)
        return process

    def settings_of_a_process(self) -> dict[str, str]:
        """The environment with the broker and the database as they are now."""
        return self.environment | {
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            f"{self.service.upper()}_DATABASE_URL": self.database_url,
        }

    async def stop(self) -> None:
        """End every process, politely."""
        for each in self.processes:
            if each.process.returncode is None:
                each.process.terminate()
        for each in self.processes:
            await each.end()
        self.processes.clear()
