"""The dev stack's edges: it ends whole however it ends, and names what it cannot have."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

import psutil
import pytest

from lastmetre.cli.endpoints import Endpoints
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack, StackError
from lastmetre.devstack.jars import kafka_jars
from lastmetre.devstack.services import is_ready
from tests.support.city import wait_until

pytestmark = pytest.mark.slow

WITHIN_SECONDS = 60
NOWHERE = "127.0.0.1:9"
PROXIES = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), f"http://{NOWHERE}"
)
UP = "Up. Ctrl-C stops everything.\n"


def family_of(home: Path) -> list[psutil.Process]:
    """Every process that has to do with a home: by its command, environment or folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            said = [*process.cmdline(), *process.environ().values(), process.cwd()]
            if any(str(home) in each for each in said) and process.pid != os.getpid():
                found.append(process)
    return found


def wait_until_gone(home: Path) -> None:
    wait_until(lambda: not family_of(home), "end of all its processes", WITHIN_SECONDS)


def written_elsewhere(home: Path) -> set[str]:
    """Files outside its home that a stack's processes hold open for writing."""
    opened = [file for process in family_of(home) for file in process.open_files()]
    return {
        file.path
        for file in opened
        if set(file.mode) & set("wa+") and not Path(file.path).is_relative_to(home)
    }


@contextlib.contextmanager
def running(home: Path, *before: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """`lastmetre up` as it begins, and what it says."""
    with subprocess.Popen(
        [*before, str(Path(sys.executable).with_name("lastmetre")), "up"],
        env={**os.environ, "LASTMETRE_HOME": str(home)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr
        try:
            yield process, process.stderr
        finally:
            process.kill()


def until(said: IO[str], beginning: str) -> None:
    lines = []
    for line in said:
        lines.append(line)
        if line.startswith(beginning):
            return
    pytest.fail(f"it ended without saying {beginning!r}:\n{''.join(lines)}")


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """A terminal sends the signal to the whole group."""
    os.killpg(process.pid, signal.SIGINT)


def without_a_network() -> list[str]:
    """What begins a command so that it finds no network."""
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    if shutil.which("ip") and subprocess.run([*alone, "true"], check=False).returncode == 0:
        return alone
    return ["env", *(f"{name}={value}" for name, value in PROXIES.items())]


def test_it_ends_whole_and_starts_again_beside_another(stack: Stack, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with running(home) as (first, said):
        until(said, UP)
        endpoints = Endpoints.read(home / "endpoints.json")
        assert all(is_ready(url) for urls in endpoints.admin.values() for url in urls)
        assert all(is_ready(url) for urls in stack.endpoints.admin.values() for url in urls)
        assert not set(endpoints.services.values()) & set(stack.endpoints.services.values())
        assert written_elsewhere(home) == set()
        with pytest.raises(StackError, match=rf"process {first.pid}\) is running in {home}"):
            Stack(home).start()
        assert first.poll() is None
        first.kill()
    wait_until_gone(home)

    # Everything is in the cache now.
    with running(home, *without_a_network()) as (second, said):
        until(said, UP)
        assert Endpoints.read(home / "endpoints.json").services == endpoints.services
        press_ctrl_c(second)
        assert said.readlines()[-1] == "Stopped.\n"
        assert second.wait() == 0
    assert family_of(home) == []

    with running(home) as (third, said):
        until(said, "Databases ready")
        press_ctrl_c(third)
        assert said.readlines()[-1] == "Stopped.\n"
        assert third.wait() == 0
    assert family_of(home) == []


def refusal(home: Path, environment: Mapping[str, str] | None = None) -> str:
    """What a stack says that cannot start. It leaves nothing running."""
    with pytest.raises(StackError) as refused:
        Stack(home, environment=environment, services=False).start()
    assert family_of(home) == []
    return str(refused.value)


def last_words(stack: Stack) -> str:
    """What a running stack says when it gives up."""
    with pytest.raises(StackError) as gave_up:
        for _ in stack.watch():
            pass
    return str(gave_up.value)


@contextlib.contextmanager
def damaged(file: Path) -> Iterator[None]:
    whole = file.read_bytes()
    file.write_bytes(b"damaged")
    yield
    file.write_bytes(whole)


def test_what_cannot_be_had_or_dies_is_named(stack: Stack, tmp_path: Path) -> None:
    there = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.endpoints.bootstrap_servers,
        **{f"{s.upper()}_DATABASE_URL": stack.endpoints.databases[s] for s in SERVICES},
    }
    bad_database = f"postgresql://x@{NOWHERE}/notify"
    with ThreadPoolExecutor() as pool:
        broker = pool.submit(refusal, tmp_path / "a", {**there, "KAFKA_BOOTSTRAP_SERVERS": NOWHERE})
        database = pool.submit(
            refusal, tmp_path / "b", {**there, "NOTIFY_DATABASE_URL": bad_database}
        )
        own = pool.submit(own_programs, tmp_path / "own", stack)
    said = broker.result()
    assert f"No broker answers at {NOWHERE} (KAFKA_BOOTSTRAP_SERVERS)" in said
    assert "Way out: correct it, and how it is entered (KAFKA_SECURITY_PROTOCOL" in said
    said = database.result()
    assert "The database of notify (NOTIFY_DATABASE_URL) does not answer" in said
    assert "Way out: correct the variable, or unset it" in said
    own.result()


def own_programs(home: Path, other: Stack) -> None:
    """A stack's own database, supervisor and broker, one after another out of order."""
    one = Stack(home, services=False)
    one.home.make()
    taken = int(other.endpoints.bootstrap_servers.rpartition(":")[2])
    (home / "run" / "ports.json").write_text(json.dumps({"kafka": taken}))
    with one:
        assert one.endpoints.bootstrap_servers != other.endpoints.bootstrap_servers
        with damaged(home / "data" / "postgres" / "PG_VERSION"):
            one.kill("postgres")
            said = last_words(one)
        assert "postgres does not stay up" in said
        assert f"The end of {home}/logs/postgres.log" in said
        assert "is not a valid data directory" in said
        assert "to use databases of your own" in said

        one.kill("supervisord")
        said = last_words(one)
        assert "supervisord, which keeps the stack's programs, is gone" in said
        assert "start the stack again" in said
        wait_until_gone(home)

    with damaged(home / "data" / "kafka" / "meta.properties"):
        said = refusal(home)
    assert "The broker (Kafka) does not start" in said
    assert f"delete {home} to begin anew" in said
    assert "to use a broker of your own" in said


def test_jars_that_cannot_be_had_or_were_altered_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = kafka_jars(threading.Event())
    monkeypatch.setenv("LASTMETRE_CACHE", str(tmp_path))
    for variable, nowhere in PROXIES.items():
        monkeypatch.setenv(variable, nowhere)
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
