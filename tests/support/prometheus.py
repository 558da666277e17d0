"""A real Prometheus that reads the services of a stack, with our rules or without."""

import asyncio
import http.server
import threading
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack.ports import free_port
from tests.observability.rules import program
from tests.support.city import City

Sample = tuple[dict[str, str], float]


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http = http
        self._url = url

    async def asked(self, query: str) -> list[Sample]:
        """The series that a query gives now; none while Prometheus is starting."""
        try:
            answer = await self._http.get(f"{self._url}/api/v1/query", params={"query": query})
        except httpx.TransportError:
            return []
        if answer.status_code == 503:
            return []
        assert answer.status_code == 200, (query, answer.text)
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return [(each["metric"], float(each["value"][1])) for each in result]

    async def firing(self, alert: str) -> list[dict[str, str]]:
        """The labels of what fires of that alert."""
        query = f'ALERTS{{alertname="{alert}", alertstate="firing"}}'
        return [labels for labels, _ in await self.asked(query)]


@asynccontextmanager
async def prometheus(
    city: City,
    folder: Path,
    rules: Sequence[Path] = (),
    others: Sequence[str] = (),
    alertmanagers: Sequence[str] = (),
) -> AsyncIterator[Prometheus]:
    """Reads the four services, the city's figures with a key of its own, and `others`; what fires
    goes to `alertmanagers`."""
    admin = city.endpoints["admin"]
    targets = [url.removeprefix("http://") for service in SERVICES for url in admin[service]]
    figures = city.endpoints["services"]["metrics"].removeprefix("http://")
    settings = {
        "global": {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        },
        "rule_files": [str(each) for each in rules],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}],
        },
        "scrape_configs": [
            {"job_name": "lastmetre", "static_configs": [{"targets": targets}]},
            {
                "job_name": "lastmetre-indicators",
                "metrics_path": "/indicators",
                "authorization": {"credentials": city.endpoints["service_keys"]["prometheus"]},
                "static_configs": [{"targets": [figures]}],
            },
            {"job_name": "node", "static_configs": [{"targets": list(others)}]},
        ],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        program("prometheus"), f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}", "--log.level=error",
    )  # fmt: skip
    try:
        yield Prometheus(city.http, f"http://{address}")
    finally:
        await _ended(process)


async def _ended(process: Process) -> None:
    process.terminate()
    await process.wait()


@contextmanager
def textfile(file: Path) -> Iterator[str]:
    """The address of somebody who tells what stands in that file, as node exporter does."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(file.read_bytes() if file.exists() else b"")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
