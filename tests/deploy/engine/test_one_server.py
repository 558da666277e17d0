"""One server, for real: a report through TLS, the lead told, balanced books, a restart, a restore.

Needs root, a container engine, and the images of `debian_bases.sh`, `make image` and `images.sh`.
"""

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack.waiting import wait_until
from tests.deploy.engine.one_server import RESIDENTS, STAFF, OneServer, compose_command

# Yunqiao's sample city: inside the area of lead-0101.
REPORT = {"text": "路灯不亮", "position": {"latitude": 24.08, "longitude": 112.92}}


def engine_missing() -> str:
    """Why no engine can be used; empty if one can."""
    for command in (["docker", "info"], [*compose_command(), "version"]):
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"{command[0]}: {error.strerror}"
        if said.returncode:
            return f"{' '.join(command)}: {said.stderr.strip()[-200:]}"
    return ""


pytestmark = [
    pytest.mark.skipif(bool(why := engine_missing()), reason=f"no container engine here: {why}"),
    pytest.mark.timeout(1500),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneServer]:
    made = OneServer(tmp_path_factory.mktemp("trial") / "server")
    secrets = made.folder / "secrets"
    command = Path(sys.executable).with_name("lastmetre")
    subprocess.run([command, "secrets", "make", secrets], check=True, capture_output=True)
    try:
        made.up()
        yield made
    finally:
        made.run("down", "--volumes", "--timeout", "30", check=False)


def eventually(ready: Callable[[], bool], what: str) -> None:
    assert wait_until(ready, lambda: None, 120, threading.Event()), what


def balanced(server: OneServer) -> dict[str, object]:
    document: dict[str, object] = json.loads(server.lastmetre("audit", "--json"))
    return document


def test_a_report_through_tls_reaches_its_lead(server: OneServer) -> None:
    token = server.lastmetre("token", "--role", "administrator").splitlines()[0]
    server.lastmetre(
        "network", "import", "--areas", "/run/lastmetre/city/areas.geojson",
        "--id-property", "area_id", "--leads", "/run/lastmetre/city/leads.csv",
        LASTMETRE_TOKEN=token,
    )  # fmt: skip
    key = server.partner()
    status, body = server.curl(
        RESIDENTS, "/channels/app/reports", "--header", f"X-API-Key: {key}",
        "--json", json.dumps({"source_id": "1", **REPORT}),
    )  # fmt: skip
    assert status == 202, body
    receipt = json.loads(body)["receipt"]
    eventually(lambda: any(server.messages.iterdir()), "nobody was told")
    texts = [each.read_text("utf-8") for each in server.messages.rglob("*") if each.is_file()]
    assert any(f"https://{STAFF}/" in text for text in texts), "the link of the lead"
    assert receipt


def test_pages_are_published_and_nothing_internal_is(server: OneServer) -> None:
    assert server.curl(RESIDENTS, "/report")[0] == 200
    assert server.curl(STAFF, "/board")[0] in (200, 303, 401)
    for host in (RESIDENTS, STAFF):
        for path in ("/metrics", "/readyz", "/api/intake/v1/contacts", "/api/dispatch/v1/cases/1"):
            assert server.curl(host, path)[0] == 404, f"{host}{path}"


def test_the_books_balance_and_still_do_after_a_restart(server: OneServer) -> None:
    before = balanced(server)
    server.run("stop", *SERVICES)
    states = server.states()
    assert {name: states[name] for name in SERVICES} == dict.fromkeys(SERVICES, ("exited", 0))
    server.run("restart", "kafka", "postgresql")
    server.up()
    assert balanced(server)["balanced"] is before["balanced"] is True


def test_a_lost_server_comes_back_from_its_backup(server: OneServer) -> None:
    """Both disks and the secrets are lost; the backup lies on another one."""
    name = server.run("run", "--rm", "-T", "backup").stdout.strip().splitlines()[-1]
    manifest = json.loads((server.backups / "complete" / name / "manifest.json").read_text("utf-8"))
    assert manifest["kafka"]["partitions"]["case.events-0"]
    before = balanced(server)
    server.run("down", "--volumes", "--timeout", "30")
    shutil.rmtree(server.folder / "secrets")
    (server.folder / "secrets").mkdir(mode=0o700)
    everything = (
        "--secrets", "/secrets", "--identity", "/identity",
        "--postgresql", "/var/lib/postgresql/18/docker", "--kafka", "/var/lib/kafka/data",
    )  # fmt: skip
    server.run("run", "--rm", "-T", "restore", *everything, "--dry-run")
    assert not any((server.folder / "secrets").iterdir())
    server.run("run", "--rm", "-T", "restore", *everything)
    server.up()
    assert balanced(server)["balanced"] is before["balanced"] is True
