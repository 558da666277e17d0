"""One server, for real, by the lines of docs/operations.md: a report through TLS, the lead told,
balanced books, Prometheus, another build, a restart, a restore.

Needs the engine and the images that `make deploy-trial` provides.
"""

import base64
import json
import re
import shlex
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack.waiting import wait_until
from lastmetre.intake.adapters.passwords import code_of
from tests.deploy.engine.documented import lines_below, lines_of_cron
from tests.deploy.engine.one_server import (
    MONITORING,
    PROMETHEUS_PORT,
    RESIDENTS,
    STAFF,
    OneServer,
)

# Yunqiao's sample city: inside the area of lead-0101.
REPORT = {"text": "路灯不亮", "position": {"latitude": 24.08, "longitude": 112.92}}
NEW = "registry.example.org/lastmetre:NEW"

pytestmark = pytest.mark.timeout(1500)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneServer]:
    made = OneServer(tmp_path_factory.mktemp("trial") / "server")
    try:
        made.install()
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def said(server: OneServer) -> dict[str, str]:
    """What the lines for the first people, areas and partners say, by command."""
    lines = (
        lines_below("One server", "The first people, areas and partners.")
        .replace("\\\n", "")
        .splitlines()
    )
    commands = {line.split("lastmetre ")[-1].split(" ")[0]: line for line in lines[:-1]}
    found = {name: server.type(line) for name, line in commands.items()}
    found["key"] = server.add_channel_key(found["channel-key"])
    server.type(lines[-1])
    server.up()
    return found


def eventually(ready: Callable[[], bool], what: str) -> None:
    assert wait_until(ready, lambda: None, 120, threading.Event()), what


def balanced(server: OneServer, options: str = "") -> bool:
    return json.loads(server.lastmetre(f"audit --json {options}"))["balanced"] is True


def report(server: OneServer, key: str, number: int) -> str:
    """The receipt of a report that a partner sends through the proxy, again while that is asked for
    (503)."""
    body = json.dumps({"source_id": str(number), **REPORT})
    options = ("--header", f"X-API-Key: {key}", "--json", body)
    status, said = 503, ""
    while status == 503:
        status, said = server.curl(RESIDENTS, "/channels/app/reports", *options)
    assert status == 202, said
    receipt: str = json.loads(said)["receipt"]
    return receipt


def test_a_report_through_tls_reaches_its_lead(server: OneServer, said: dict[str, str]) -> None:
    report(server, said["key"], 1)
    eventually(lambda: any(server.messages.iterdir()), "nobody was told")
    texts = [each.read_text("utf-8") for each in server.messages.rglob("*") if each.is_file()]
    assert any(f"https://{STAFF}/" in text for text in texts), "the link of the lead"


def test_the_first_member_of_staff_signs_in(
    server: OneServer, said: dict[str, str], tmp_path: Path
) -> None:
    told = dict(re.findall(r"^(password|codes): (\S+)$", said["users"], re.MULTILINE))
    code = code_of(base64.b32decode(told["codes"]), int(time.time()) // 30)
    form = {"subject": "zhou.lin", "password": told["password"], "code": code}
    kept = ("--cookie", str(tmp_path / "cookies"), "--cookie-jar", str(tmp_path / "cookies"))
    assert server.curl(STAFF, "/centre", *kept)[0] != 200
    sent = "&".join(f"{name}={quote(value)}" for name, value in form.items())
    status, body = server.curl(
        STAFF, "/sign-in/password", *kept, "--data", f"{sent}&leads_to=/centre"
    )
    assert status == 303, body
    status, body = server.curl(STAFF, "/centre", *kept)
    assert status == 200, body


def test_pages_are_published_and_nothing_internal_is(server: OneServer) -> None:
    assert server.curl(RESIDENTS, "/report")[0] == 200
    assert server.curl(STAFF, "/board")[0] in (200, 303, 401)
    for host in (RESIDENTS, STAFF):
        for path in ("/metrics", "/readyz", "/api/intake/v1/contacts", "/api/dispatch/v1/cases/1"):
            assert server.curl(host, path)[0] == 404, f"{host}{path}"


def test_another_build_takes_over_while_reports_come(
    server: OneServer, said: dict[str, str]
) -> None:
    """The runbook of an upgrade, and then the same way back."""
    server.type(
        "docker build --quiet --tag lastmetre:trial-next - <<<'FROM lastmetre:trial\n"
        "ENV LASTMETRE_REVISION=next'"
    )
    receipts: list[str] = []
    enough = threading.Event()

    def reports() -> None:
        while not enough.is_set():
            receipts.append(report(server, said["key"], 100 + len(receipts)))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(reports)
        try:
            for image in ("lastmetre:trial-next", "lastmetre:trial"):
                server.type(
                    lines_below("Upgrade", "One server, in `deploy/compose`.").replace(NEW, image)
                )
                images = server.images()
                assert {images[name] for name in SERVICES} == {image}
        finally:
            enough.set()
        coming.result()
    assert len(receipts) > len(SERVICES)
    (server.compose / "city" / "receipts").write_text("\n".join(receipts), "utf-8")
    assert balanced(server, "--receipts /run/lastmetre/city/receipts")


def test_the_books_balance_and_still_do_after_a_restart(server: OneServer) -> None:
    assert balanced(server)
    server.run(f"stop {' '.join(SERVICES)}")
    states = server.states()
    assert {name: states[name] for name in SERVICES} == dict.fromkeys(SERVICES, ("exited", 0))
    server.run("restart kafka postgresql")
    server.up()
    assert balanced(server)


def test_a_lost_server_comes_back_from_what_is_made_every_day(server: OneServer) -> None:
    """Both disks and the secrets are lost; the backup lies on another one."""
    for line in lines_of_cron("One server", "Every day"):
        server.type(line)
    told = {each.name for each in (server.compose / "textfiles").glob("*.prom")}
    assert told == {"audit.prom", "ledger.prom"}
    assert any((server.srv / "backups" / "ledger").rglob("*.jsonl.gz"))
    assert balanced(server)
    server.down()
    shutil.rmtree(server.secrets)
    server.secrets.mkdir(mode=0o700)
    restore = (
        "run --rm -T restore --secrets /secrets --identity /identity"
        " --postgresql /var/lib/postgresql/18/docker --kafka /var/lib/kafka/data"
    )
    server.run(f"{restore} --dry-run")
    assert not any(server.secrets.iterdir())
    server.run(restore)
    server.up()
    assert balanced(server)


def test_prometheus_reads_all_services_and_the_figures(server: OneServer) -> None:
    server.type("docker compose up -d --wait prometheus alertmanager", files=MONITORING)
    # It listens before it answers.
    again = "--fail --retry 60 --retry-delay 1 --retry-all-errors"
    asked = (
        f"curl -sS --noproxy '*' {again} 127.0.0.1:{PROMETHEUS_PORT}/api/v1/query --data-urlencode"
    )

    def answers(query: str) -> set[str]:
        found = json.loads(server.type(f"{asked} {shlex.quote(query)}"))["data"]["result"]
        return {each["metric"].get("service", each["metric"]["job"]) for each in found}

    eventually(lambda: answers("query=lastmetre_build_info") >= set(SERVICES), "services")
    figures = 'query=up{job="lastmetre-indicators"} == 1'
    eventually(lambda: bool(answers(figures)), "the city's figures, by the key for them")
