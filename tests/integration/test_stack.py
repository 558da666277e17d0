"""The dev stack's edges: it ends whole however it ends, and names what it cannot have."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from cli.stack import Endpoints, Stack, StackError
from cli.stack.jars import kafka_jars
from cli.stack.services import is_ready
from common.contracts.topics import SERVICES

pytestmark = pytest.mark.slow

WITHIN_SECONDS = 90
NOWHERE = "127.0.0.1:9"


def processes_of(home: Path) -> list[str]:
    """Every process that has to do with a home, by what it runs."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            said = [*process.cmdline(), *process.environ().values(), process.cwd()]
            if any(str(home) in each for each in said) and process.pid != os.getpid():
                found.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
    return found


def wait_until_gone(home: Path) -> None:
    deadline = time.monotonic() + WITHIN_SECONDS
    while left := processes_of(home):
        assert time.monotonic() < deadline, left
        time.sleep(0.1)


@contextlib.contextmanager
def up(home: Path, *before: str) -> Iterator[subprocess.Popen[str]]:
    """`lastmetre up`, from when it says that it is up."""
    command = [*before, str(Path(sys.executable).with_name("lastmetre")), "up"]
    with subprocess.Popen(
        command,
        env={**os.environ, "LASTMETRE_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("Up."):
                break
        else:
            pytest.fail("".join(said))
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)


def without_a_network() -> list[str]:
    """What starts a command where there is nothing but the loopback interface."""
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if not shutil.which("ip") or subprocess.run([*alone, "true"], check=False).returncode:
        return []
    return alone


def test_it_ends_whole_and_starts_again_beside_another(stack: Stack, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home) as first:
        endpoints = Endpoints.read(home)
        assert all(is_ready(url) for url in endpoints.services.values())
        assert all(is_ready(url) for url in stack.endpoints.services.values())
        assert not set(endpoints.services.values()) & set(stack.endpoints.services.values())
        with pytest.raises(StackError, match=rf"process {first.pid}\) is running in {home}"):
            Stack(home).start()
        assert first.poll() is None
        first.kill()
    wait_until_gone(home)

    # A second start needs no network: everything is in the cache.
    with up(home, *without_a_network()) as second:
        assert Endpoints.read(home).services == endpoints.services
        second.send_signal(signal.SIGINT)
        assert second.stderr
        assert second.stderr.readlines()[-1] == "Stopped.\n"
        assert second.wait() == 0
    assert processes_of(home) == []

    for damaged, named in (
        (home / "data/kafka/meta.properties", "The broker (Kafka) does not start."),
        (home / "data/postgres/PG_VERSION", "The database (PostgreSQL) does not start."),
    ):
        kept = damaged.read_bytes()
        damaged.write_bytes(b"damaged")
        with pytest.raises(StackError) as refused:
            Stack(home, services=False).start()
        damaged.write_bytes(kept)
        assert named in str(refused.value)
        assert f"delete {home} to begin anew" in str(refused.value)
        assert processes_of(home) == []


def test_what_is_elsewhere_and_does_not_answer_is_named(stack: Stack, tmp_path: Path) -> None:
    there = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.endpoints.bootstrap_servers,
        **{f"{s.upper()}_DATABASE_URL": stack.endpoints.databases[s] for s in SERVICES},
    }

    def refusal(variable: str, value: str) -> str:
        home = tmp_path / variable
        with pytest.raises(StackError) as refused:
            Stack(home, environment={**there, variable: value}, services=False).start()
        assert processes_of(home) == []
        return str(refused.value)

    with ThreadPoolExecutor() as pool:
        broker = pool.submit(refusal, "KAFKA_BOOTSTRAP_SERVERS", NOWHERE)
        database = pool.submit(refusal, "NOTIFY_DATABASE_URL", f"postgresql://x@{NOWHERE}/notify")
    assert f"No broker answers at {NOWHERE} (KAFKA_BOOTSTRAP_SERVERS)" in broker.result()
    assert "The database of notify (NOTIFY_DATABASE_URL) does not answer" in database.result()
    for said in (broker.result(), database.result()):
        assert "Way out: correct the variable, or unset it" in said


def test_jars_that_cannot_be_had_or_were_altered_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = kafka_jars(threading.Event())
    monkeypatch.setenv("LASTMETRE_CACHE", str(tmp_path))
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(variable, f"http://{NOWHERE}")
    with pytest.raises(StackError) as away:
        kafka_jars(threading.Event())
    assert "could not be downloaded" in str(away.value)
    assert "LASTMETRE_CACHE" in away.value.way_out

    altered = tmp_path / real[0].parents[1].name / real[0].parent.name / real[0].name
    altered.parent.mkdir(parents=True)
    altered.write_bytes(real[0].read_bytes() + b" ")
    with pytest.raises(StackError, match="missing, unknown or altered") as refused:
        kafka_jars(threading.Event())
    assert "delete" in refused.value.way_out
