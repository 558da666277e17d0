"""Metrics alone."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from lastmetre.common.security.callers import Role
from tests.support.city.service import ServiceAlone

REBUILD_SECONDS = 120


class MetricsAlone(ServiceAlone):
    """What a test does with metrics."""

    service = "metrics"

    def __init__(self, bootstrap: str, database_url: str, folder: Path) -> None:
        super().__init__(bootstrap, database_url, folder)
        self.environment["LASTMETRE_CITY_TIME_ZONE"] = "Asia/Shanghai"

    def client(self, role: Role) -> httpx.AsyncClient:
        """Asks the first process as a member of staff."""
        lead = "L01" if role is Role.LEAD else None
        return self.processes[0].client(self.credentials.bearer(role, lead))

    async def rebuild(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """Run the rebuild with --json: exit code and document."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lastmetre.metrics.entrypoints.rebuild",
            "--json",
            *arguments,
            env=self.settings_of_a_process(),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(process.communicate(), REBUILD_SECONDS)
        return process.returncode or 0, json.loads(out) if out else {}
