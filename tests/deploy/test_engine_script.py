"""with_engine.sh where no engine can run, and where it begins one: nothing is left over."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.deploy.rendering import ROOT

SCRIPT: Final = ROOT / "tests" / "deploy" / "engine" / "with_engine.sh"
UNAVAILABLE: Final = 69
# `docker` answers once the file `ready` is there; `dockerd` notes its process and goes on as told.
DOCKER: Final = """
case "$*" in
    info) test -e "$STATE/ready" ;;
    "compose version --short") echo "${COMPOSE_VERSION:-2.40.3}" ;;
    "image inspect"*) echo "$MADE_OF" ;;
    run*) test ! -e "$STATE/broken" || { echo "runc: no namespaces here"; exit 125; } ;;
esac
"""
NEVER_READY: Final = 'echo $$ >"$STATE/pid"; exec sleep 600'
READY: Final = 'echo $$ >"$STATE/pid"; touch "$STATE/ready"; exec sleep 600'
ENDS: Final = 'echo "level=info msg=begins"; echo "failed to start daemon: no cgroup"; exit 1'


def outcome(
    folder: Path, dockerd: str | None, *command: str, user: int = 0, **told: str
) -> subprocess.CompletedProcess[str]:
    """What becomes of COMMAND with such programs."""
    programs = folder / "bin"
    programs.mkdir(exist_ok=True)
    scripts = {"docker": DOCKER, "id": f"echo {user}", "mmdebstrap": "exit 1", "apt-get": "exit 1"}
    scripts |= {"dockerd": dockerd} if dockerd is not None else {}
    for name, text in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (programs / name).chmod(0o755)
    made_of = subprocess.run(
        f"cat {SCRIPT.with_name('debian_bases.sh')} /etc/ssl/certs/ca-certificates.crt | sha256sum",
        shell=True, capture_output=True, text=True, check=True,
    ).stdout.split()[0]  # fmt: skip
    environment = {
        "PATH": f"{programs}:/usr/bin:/bin",
        "STATE": str(folder),
        "MADE_OF": made_of,
        "LASTMETRE_ENGINE_CACHE": str(folder / "kept"),
        "LASTMETRE_ENGINE_READY_SECONDS": "60",
    }
    return subprocess.run(
        [SCRIPT, *command], env=environment | told, start_new_session=True,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def has_ended(folder: Path) -> bool:
    return not Path(f"/proc/{(folder / 'pid').read_text('utf-8').strip()}").exists()


@pytest.mark.parametrize(
    ("dockerd", "user", "seconds", "reason"),
    [
        (NEVER_READY, 1000, "60", "only root can start one"),
        (ENDS, 0, "60", "dockerd ended: failed to start daemon: no cgroup"),
        (NEVER_READY, 0, "1", "dockerd was not ready within 1 s"),
    ],
)
def test_the_reason_is_one_line(
    tmp_path: Path, dockerd: str, user: int, seconds: str, reason: str
) -> None:
    limit = {"LASTMETRE_ENGINE_READY_SECONDS": seconds}
    said = outcome(tmp_path, dockerd, "touch", str(tmp_path / "done"), user=user, **limit)
    assert said.returncode == UNAVAILABLE, said.stderr
    (line,) = said.stderr.splitlines()
    assert line.startswith("No container engine can run here: ")
    assert reason in line
    assert not (tmp_path / "done").exists()
    assert not (tmp_path / "pid").exists() or has_ended(tmp_path)


def test_an_engine_that_runs_no_container_is_none(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    said = outcome(tmp_path, READY, "true")
    assert (said.returncode, "runc: no namespaces here" in said.stderr) == (UNAVAILABLE, True)
    assert has_ended(tmp_path)


@pytest.mark.parametrize("code", [0, 3])
def test_the_command_decides_and_the_daemon_is_ended(tmp_path: Path, code: int) -> None:
    said = outcome(tmp_path, READY, "sh", "-c", f"echo $DOCKER_HOST; exit {code}")
    assert said.returncode == code, said.stderr
    socket = said.stdout.strip().removeprefix("unix://")
    assert Path(socket).is_absolute()
    assert has_ended(tmp_path)
    assert not Path(socket).parent.exists()


def test_a_time_limit_ends_command_and_daemon(tmp_path: Path) -> None:
    """As `timeout` does: a signal to all of the group."""
    said = outcome(tmp_path, READY, "sh", "-c", "echo $$; kill -TERM 0; exec sleep 600")
    assert said.returncode == 143, said.stderr
    assert has_ended(tmp_path)
    assert not Path(f"/proc/{said.stdout.strip()}").exists()


def test_an_engine_that_runs_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ready").touch()
    said = outcome(tmp_path, None, "sh", "-c", "echo ${DOCKER_HOST:-its own}")
    assert (said.returncode, said.stdout) == (0, "its own\n")
