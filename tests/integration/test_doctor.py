"""`lastmetre doctor`: faults of a real stack, each put in alone, and what it says of them."""

import contextlib
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from lastmetre.cli.doctor.addresses import look_at_addresses
from lastmetre.cli.doctor.clocks import look_at_clocks
from lastmetre.cli.doctor.disks import look_at_disks
from lastmetre.cli.doctor.findings import Finding, Findings, Level
from lastmetre.cli.doctor.kafka import look_at_kafka, look_at_topics
from lastmetre.cli.doctor.messages import look_at_messages
from lastmetre.cli.doctor.postgresql import look_at_postgresql
from lastmetre.cli.doctor.secret_checks import look_at_secrets
from lastmetre.cli.doctor.services import look_at_services
from lastmetre.cli.profile import Installation, Source
from lastmetre.common.contracts.topics import CASE_EVENTS, REPORTS
from lastmetre.devstack import Stack
from lastmetre.devstack.keys import SUPERUSER, Keys
from lastmetre.devstack.ports import free_port
from tests.support.certificates import Authority
from tests.support.city import NotifyAlone, eventually
from tests.support.commands import lastmetre
from tests.support.mailbox import Mailbox, listening
from tests.support.topics import ALL, delete_topics, make_topics, set_topic

NOBODY = "127.0.0.1:9"
Look = Callable[[Installation, Findings], Awaitable[None]]
Told = dict[str, str]


@pytest.fixture
def told(stack: Stack) -> Told:
    """All that a profile would say of the session's stack."""
    return stack.endpoints.settings()


async def findings(look: Look, told: Mapping[str, str], folder: Path) -> list[Finding]:
    """What that check finds of an installation of which nothing but `told` is known."""
    said = Findings("test")
    source = Source(told, "profile", folder)
    await look(Installation((source,), folder, with_home=False), said)
    return said.all


def other_port(url: str) -> str:
    return url.replace(f":{urlsplit(url).port}", ":9")


def with_password(url: str, password: str) -> str:
    return url.replace(f":{urlsplit(url).password}@", f":{password}@")


FAULTS: list[tuple[Look, Callable[[Told], Told], str, str, Level]] = [
    (look_at_kafka, lambda _: {"KAFKA_BOOTSTRAP_SERVERS": NOBODY},
     "kafka-away", NOBODY, Level.WRONG),
    (look_at_kafka,
     lambda told: {"KAFKA_BOOTSTRAP_SERVERS": f"{NOBODY},{told['KAFKA_BOOTSTRAP_SERVERS']}"},
     "kafka-away", NOBODY, Level.WARNING),
    (look_at_kafka, lambda _: {"KAFKA_BOOTSTRAP_SERVERS": ""},
     "kafka-not-known", "Kafka", Level.UNKNOWN),
    (look_at_kafka, lambda _: {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"},
     "kafka-settings", "Kafka", Level.WRONG),
    (look_at_kafka, lambda _: {"LASTMETRE_DEVELOPMENT": ""},
     "kafka-open", "security", Level.WARNING),
    (look_at_kafka, lambda _: {"LASTMETRE_DEVELOPMENT": ""},
     "kafka-few-brokers", "brokers", Level.WRONG),
    (look_at_postgresql,
     lambda told: {"NOTIFY_DATABASE_URL": other_port(told["NOTIFY_DATABASE_URL"])},
     "database-away", "notify", Level.WRONG),
    (look_at_postgresql,
     lambda told: {"NOTIFY_DATABASE_URL": with_password(told["NOTIFY_DATABASE_URL"], "wrong")},
     "database-refuses-us", "notify", Level.WRONG),
    (look_at_postgresql,
     lambda told: {"NOTIFY_DATABASE_URL": told["NOTIFY_DATABASE_URL"] + "_none"},
     "database-missing", "notify", Level.WRONG),
    (look_at_postgresql,
     lambda told: {"INTAKE_DATABASE_URL": told["INTAKE_DATABASE_URL"]
                   + "?default_transaction_read_only=on"},
     "database-read-only", "intake", Level.WRONG),
    (look_at_postgresql,
     lambda told: {"INTAKE_DATABASE_URL": told["INTAKE_DATABASE_URL"] + "?synchronous_commit=off"},
     "database-forgets", "intake", Level.WRONG),
    (look_at_services, lambda _: {"METRICS_ADMIN_URL": f"http://{NOBODY}"},
     "service-no-answer", "metrics-0", Level.WRONG),
    (look_at_services, lambda told: {"METRICS_ADMIN_URL": told["METRICS_PUBLIC_URL"]},
     "service-stranger", "metrics-0", Level.WRONG),
    (look_at_services, lambda _: {"METRICS_ADMIN_URL": ""},
     "service-not-known", "metrics", Level.UNKNOWN),
    (look_at_addresses, lambda _: {"INTAKE_PUBLIC_URL": f"http://{NOBODY}"},
     "address-away", f"http://{NOBODY}", Level.WRONG),
    (look_at_addresses, lambda told: {"INTAKE_PUBLIC_URL": told["INTAKE_ADMIN_URL"]},
     "admin-port-published", "", Level.WRONG),
    (look_at_addresses, lambda told: {"INTAKE_PUBLIC_URL": told["METRICS_PUBLIC_URL"]},
     "page-missing", "", Level.WRONG),
    (look_at_addresses, lambda told: {"INTAKE_PUBLIC_URL": told["DISPATCH_PUBLIC_URL"]},
     "one-host", "", Level.WRONG),
    (look_at_addresses, lambda _: {"LASTMETRE_DEVELOPMENT": ""},
     "address-in-the-clear", "", Level.WARNING),
    (look_at_addresses, lambda _: {"INTAKE_PUBLIC_URL": "report.example.org"},
     "address-unusable", "report.example.org", Level.WRONG),
    (look_at_disks, lambda _: {"NOTIFY_OUTBOX_DIRECTORY": "/nowhere/at/all"},
     "folder-away", "NOTIFY_OUTBOX_DIRECTORY (/nowhere/at/all)", Level.WRONG),
]  # fmt: skip
"""The check, what is told otherwise, and the finding: code, subject (any if empty), level."""


@pytest.mark.parametrize(
    ("look", "fault", "code", "subject", "level"),
    FAULTS,
    ids=[f"{number}-{each[2]}" for number, each in enumerate(FAULTS)],
)
async def test_a_fault_is_named_with_its_meaning_and_a_way_out(
    look: Look,
    fault: Callable[[Told], Told],
    code: str,
    subject: str,
    level: Level,
    told: Told,
    tmp_path: Path,
) -> None:
    before = await findings(look, told, tmp_path)
    assert [each for each in before if each.level is not Level.FINE] == []
    found = await findings(look, told | fault(told), tmp_path)
    named = [each for each in found if each.code == code]
    assert named, found
    assert {each.level for each in named} == {level}
    assert not subject or subject in {each.subject for each in named}
    assert all(each.way_out and (each.means or level is Level.UNKNOWN) for each in named)
    passwords = [urlsplit(each).password for name, each in told.items() if name[-4:] == "_URL"]
    assert not any(each in repr(found) for each in passwords if each)


async def test_topics_that_are_missing_or_differ(stack: Stack, told: Told, tmp_path: Path) -> None:
    servers, prefix = stack.endpoints.bootstrap_servers, f"doctor-{uuid4()}."
    await make_topics(servers, prefix, set(ALL) - {REPORTS})
    await set_topic(servers, prefix + CASE_EVENTS, {"retention.ms": "1000"})
    expected = {("topic-missing", prefix + REPORTS), ("topic-differs", prefix + CASE_EVENTS)}

    async def seen() -> bool:
        """A broker answers by its own copy of the metadata, which follows the controller's."""
        found = await findings(look_at_topics, told | {"LASTMETRE_TOPIC_PREFIX": prefix}, tmp_path)
        return {(e.code, e.subject) for e in found if e.level is Level.WRONG} == expected

    try:
        await eventually(seen, "finding of both")
    finally:
        await delete_topics(servers, prefix, set(ALL) - {REPORTS})


async def test_a_database_without_tables_and_an_audit_that_may_write(
    stack: Stack, told: Told, notify_database: str, tmp_path: Path
) -> None:
    password = Keys.kept_in(stack.home.secrets).database_passwords[SUPERUSER]
    superuser = told["DISPATCH_DATABASE_URL"].replace(
        f"//dispatch:{urlsplit(told['DISPATCH_DATABASE_URL']).password}@",
        f"//{SUPERUSER}:{password}@",
    )
    otherwise = {"NOTIFY_DATABASE_URL": notify_database, "DISPATCH_AUDIT_DATABASE_URL": superuser}
    found = await findings(look_at_postgresql, told | otherwise, tmp_path)
    assert {(each.code, each.subject) for each in found if each.code} == {
        ("tables-behind", "tables of notify"), ("audit-may-write", "dispatch, for the audit"),
    }  # fmt: skip


# --- an admin port and a public address that are not ours


@contextlib.contextmanager
def answering(body: bytes, context: ssl.SSLContext | None = None) -> Iterator[str]:
    """An address that answers everything so, with TLS if there is a context."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("minutes", "level"), [(0, Level.FINE), (-0.5, Level.WARNING), (5, Level.WRONG)]
)
async def test_a_service_whose_clock_is_off(
    minutes: float, level: Level, told: Told, tmp_path: Path
) -> None:
    there = datetime.now(UTC) + timedelta(minutes=minutes)
    with answering(json.dumps({"time": there.isoformat()}).encode()) as url:
        found = await findings(look_at_clocks, told | {"NOTIFY_ADMIN_URL": url}, tmp_path)
    assert [each.level for each in found if each.subject == "notify-0"] == [level]
    others = {each.subject for each in found if each.level is Level.FINE}
    assert others >= {"intake-0", "dispatch-0", "metrics-0", "database of intake"}


async def test_processes_of_two_builds(told: Told, tmp_path: Path) -> None:
    said = {"missing": ["relay: waits"], "version": "0.0.9", "revision": "abc"}
    with answering(json.dumps(said).encode()) as url:
        found = await findings(look_at_services, told | {"NOTIFY_ADMIN_URL": url}, tmp_path)
    assert {(each.code, each.subject) for each in found if each.code} == {
        ("service-not-ready", "notify-0"), ("builds-differ", "builds"),
        ("command-differs", "this command"),
    }  # fmt: skip


async def test_a_certificate_that_nobody_trusts(told: Told, tmp_path: Path) -> None:
    certificate, key = Authority("a stranger's").issue("report.example.org")
    (tmp_path / "site.pem").write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.pem")
    with answering(b"", context) as url:
        found = await findings(look_at_addresses, told | {"INTAKE_PUBLIC_URL": url}, tmp_path)
    assert ("certificate-refused", url) in {(each.code, each.subject) for each in found}


@pytest.mark.parametrize(
    ("days", "level"), [(2, Level.WRONG), (10, Level.WARNING), (40, Level.FINE)]
)
async def test_a_certificate_near_its_end(
    days: int, level: Level, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an address by TLS that browsers take: its authority is one that this machine trusts."""
    authority = Authority("the city's")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.write(tmp_path / "trusted.pem")))
    # An hour more: it is asked a moment later.
    certificate, key = authority.issue("report", timedelta(days=days, hours=1))
    (tmp_path / "site.pem").write_bytes(key + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "site.pem")
    with answering(b"", context) as url:
        found = await findings(look_at_addresses, told | {"INTAKE_PUBLIC_URL": url}, tmp_path)
    (said,) = [each for each in found if f"certificate ends in {days} days" in each.found]
    assert (said.subject, said.level) == (url, level)
    if level is not Level.FINE:
        assert said.code == "certificate-ends"
        assert "browsers warn" in said.means
        assert said.way_out.startswith("renew it")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)],
        check=False,
        capture_output=True,
    )
    if made.returncode:
        pytest.skip(f"no disk can be made here: {made.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_a_disk_that_fills(small_disk: Path, told: Told, tmp_path: Path) -> None:
    where = {"BACKUPS": str(small_disk)}
    subject = f"BACKUPS ({small_disk})"
    seen: list[tuple[str, Level]] = []
    for kilobytes in (0, 900, 100):
        with (small_disk / "messages").open("ab") as file:
            file.write(bytes(kilobytes * 1000))
        found = await findings(look_at_disks, told | where, tmp_path)
        (said,) = [each for each in found if each.subject == subject]
        seen.append((said.code, said.level))
    assert seen == [
        ("", Level.FINE), ("disk-filling", Level.WARNING), ("disk-full", Level.WRONG),
    ]  # fmt: skip
    assert (said.means, said.way_out[:13]) == ("soon nothing can be written", "a larger disk")


async def test_secrets_that_others_may_read(stack: Stack, told: Told, tmp_path: Path) -> None:
    said = Findings("secrets")
    asked = Installation.of_stack(stack.endpoints, stack.home.root)
    key = stack.home.secrets / "link_key"
    key.chmod(0o644)
    try:
        await look_at_secrets(asked, said)
    finally:
        key.chmod(0o600)
    assert [(each.code, each.level) for each in said.all if each.code] == [
        ("secret-open", Level.WRONG)
    ]


@pytest.mark.parametrize(
    ("rcpt", "level"), [("250 OK", Level.FINE), ("550 Nobody here", Level.WRONG)]
)
async def test_a_test_message_by_mail_goes_the_way_of_all_messages(
    rcpt: str, level: Level, notify: NotifyAlone, tmp_path: Path
) -> None:
    mailbox, port = Mailbox(rcpt=rcpt), free_port()
    async with listening(mailbox, port):
        running = await notify.start(
            NOTIFY_SMTP_HOST="127.0.0.1", NOTIFY_SMTP_PORT=str(port), NOTIFY_SMTP_STARTTLS="false"
        )
        told = {
            "NOTIFY_ADMIN_URL": running.admin,
            "LASTMETRE_TOKEN_KEY": notify.credentials.token_key,
        }
        look = partial(look_at_messages, email="operator@example.org", phone="13800138000")
        found = {each.subject: each for each in await findings(look, told, tmp_path)}
    assert (found["mail"].level, len(mailbox.taken)) == (level, int(level is Level.FINE))
    assert found["SMS"].code == "message-reaches-nobody"
    for table in ("message_waiting", "message_done", "message_again", "outbox"):
        assert await notify.fetch(f"SELECT 1 FROM {table}") == []


async def test_the_command_goes_on_without_a_broker_and_ends_with_1(
    stack: Stack, tmp_path: Path
) -> None:
    well = await lastmetre(stack, "doctor", "--skip", "disks")
    assert (well["ok"], well["counts"]["wrong"]) == (True, 0)
    profile = tmp_path / "profile.toml"
    told = stack.endpoints.settings() | {"KAFKA_BOOTSTRAP_SERVERS": NOBODY}
    profile.write_text("\n".join(f"{name} = {json.dumps(each)}" for name, each in told.items()))
    found = await lastmetre(stack, "doctor", code=1, LASTMETRE_PROFILE=str(profile))
    levels = {
        check: {each["level"] for each in found["findings"] if each["check"] == check}
        for check in ("kafka", "postgresql", "services", "addresses")
    }
    assert levels["kafka"] == {"wrong"}
    assert [levels[each] for each in ("postgresql", "services", "addresses")] == [{"fine"}] * 3
