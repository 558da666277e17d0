"""A real Alertmanager with the routes that are deployed, and somebody whom it calls."""

import asyncio
import http.server
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import yaml

from lastmetre.devstack.ports import free_port
from tests.observability.rules import ROOT, program

Call = tuple[str, str, str]
"""(receiver, `firing` or `resolved`, alert)"""


class Alertmanager:
    """Where it listens, and whom it has called."""

    def __init__(self, address: str, calls: list[Call]) -> None:
        self.address = address
        self.calls = calls


@contextmanager
def _called() -> Iterator[tuple[str, list[Call]]]:
    calls: list[Call] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            calls.extend(
                (told["receiver"], alert["status"], alert["labels"]["alertname"])
                for alert in told["alerts"]
            )
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", calls
    finally:
        server.shutdown()
        thread.join()


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[Alertmanager]:
    """With the deployed routes, which gather for a second only, and receivers of the tests."""
    settings = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text("utf-8"))
    for route in (settings["route"], *settings["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    with _called() as (url, calls):
        for receiver in settings["receivers"]:
            receiver["webhook_configs"] = [{"url": url}]
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(settings), "utf-8")
        address = f"127.0.0.1:{free_port()}"
        process = await asyncio.create_subprocess_exec(
            program("prometheus-alertmanager", "prometheus-alertmanager"),
            f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address={address}", "--cluster.listen-address=", "--log.level=error",
        )  # fmt: skip
        try:
            yield Alertmanager(address, calls)
        finally:
            process.terminate()
            await process.wait()
