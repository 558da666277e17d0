"""Tests ask for behaviour: they neither sleep until it may be so, nor read what a log says.

ruff keeps them from private attributes (SLF001).
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]

SLEEPING: Final[Mapping[str, str]] = {
    "support/city/waiting.py": "asks again after a while, for everybody",
    "support/traffic.py": "partners who try again after a while",
    "faults": "a fault lasts its time, and people come at their pace",
    "bench": "paces what it measures",
    "simulation": "in virtual time",
    "unit/notify/memory_queue.py": "in virtual time",
    "unit/notify/sending_world.py": "in virtual time",
}
VIRTUAL_TIME: Final = {"run_virtually", "in_virtual_time", "VirtualTimeLoop"}
"""Whoever imports one of these sleeps in virtual time."""

LOGS: Final[Mapping[str, str]] = {
    "support/logs.py": "the lines at level error, for everybody",
    "support/city/processes.py": "why a process has ended",
    "faults/rig": "why a server has ended",
    "bench/processes.py": "why a process has ended",
    "integration/test_telemetry.py": "that lines name case, trace and service is what is tested",
    "integration/test_traces.py": "that lines name the span is what is tested",
    "integration/test_migrations.py": "a migration has no other place to tell who holds it up",
    "integration/test_notify.py": "that no phone number is in it",
    "unit/web/test_security_log.py": "the security log is an interface",
    "unit/web/test_problems.py": "the reference that people quote is in it, and no personal data",
    "unit/intake/test_channels_application.py": "the same of the channels' application",
}


def python_files() -> Iterator[tuple[str, ast.Module]]:
    """Every file of the tests by its path."""
    for file in sorted(TESTS.rglob("*.py")):
        yield str(file.relative_to(TESTS)), ast.parse(file.read_text("utf-8"))


def excepted(path: str, exceptions: Mapping[str, str]) -> bool:
    """Whether the file or a folder of it is among them."""
    return any(path == each or path.startswith(f"{each}/") for each in exceptions)


def names_in(tree: ast.AST) -> set[str]:
    """Names, attributes and arguments."""
    found = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                found.add(name)
            case _:
                pass
    return found


def sleeps(tree: ast.AST) -> list[int]:
    """Lines of calls of asyncio.sleep or time.sleep that are not of 0."""
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "sleep"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id in ("asyncio", "time")
        and not (isinstance(node.args[0], ast.Constant) and node.args[0].value == 0)
    ]


def reads_of_logs(tree: ast.AST) -> list[int]:
    """Lines where pytest's or structlog's record of log lines is used, or a log file is read."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.arg(arg="caplog") | ast.Name(id="capture_logs" | "caplog"):
                found.append(node.lineno)
            case ast.Attribute(attr="capture_logs"):
                found.append(node.lineno)
            case ast.Attribute(attr="read_text" | "read_bytes" | "open", value=value) if (
                "log" in names_in(value)
            ):
                found.append(node.lineno)
            case _:
                pass
    return found


def private_names(tree: ast.AST) -> list[str]:
    """Names with an underscore that are imported."""
    return [
        each.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for each in node.names
        if each.name.startswith("_")
    ]


def test_nobody_imports_what_is_private() -> None:
    found = {path: names for path, tree in python_files() if (names := private_names(tree))}
    # Takes mends out of the core again: only from inside.
    assert found == {"simulation/mutations.py": ["_Partition"]}


def test_nobody_sleeps_until_it_may_be_so() -> None:
    found = {
        path: lines
        for path, tree in python_files()
        if (lines := sleeps(tree)) and not names_in(tree) & VIRTUAL_TIME
    }
    assert {p: lines for p, lines in found.items() if not excepted(p, SLEEPING)} == {}
    for each in SLEEPING:
        assert any(excepted(path, {each: ""}) for path in found), f"{each} does not sleep any more"


def test_nobody_asserts_what_a_log_says() -> None:
    found = {path: lines for path, tree in python_files() if (lines := reads_of_logs(tree))}
    assert {p: lines for p, lines in found.items() if not excepted(p, LOGS)} == {}
    for each in LOGS:
        assert any(excepted(path, {each: ""}) for path in found), f"{each} reads none any more"


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("await asyncio.sleep(0)", []),
        ("await asyncio.sleep(1)", [1]),
        ("time.sleep(pause)", [1]),
        ("await machine.sleep(1)", []),
    ],
)
def test_a_sleep_is_found(code: str, lines: list[int]) -> None:
    assert sleeps(ast.parse(code)) == lines


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("def test(caplog): ...", [1]),
        ("with structlog.testing.capture_logs() as lines: ...", [1]),
        ("stack.log('intake').read_text('utf-8')", [1]),
        ("process.log.read_bytes()", [1]),
        ("with stack.log(service).open('rb') as log: ...", [1]),
        ("file.read_text()", []),
    ],
)
def test_a_read_of_a_log_is_found(code: str, lines: list[int]) -> None:
    assert reads_of_logs(ast.parse(code)) == lines
