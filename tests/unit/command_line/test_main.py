"""Every command is there, and none waits for what only others need."""

import subprocess
import sys
from importlib.metadata import EntryPoints

import pytest
from typer.testing import CliRunner

from lastmetre.cli import main
from lastmetre.cli.main import COMMANDS, app

SLOW = ("fastapi", "aiokafka", "asyncpg", "numpy", "shapely")


PLUGINS = ("audit", "contracts", "demo", "up")


@pytest.mark.parametrize("name", [*COMMANDS, *PLUGINS])
def test_every_command_is_where_the_table_says(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert f"lastmetre {name}" in result.output


def test_without_the_other_packages_their_commands_are_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(main, "entry_points", lambda group: EntryPoints())
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0, result.output
    shown = {line.split()[1] for line in result.output.splitlines() if len(line.split()) > 2}
    assert shown >= set(COMMANDS)
    assert not shown & set(PLUGINS)
    assert CliRunner().invoke(app, ["up"]).exit_code == 2


def test_a_slip_is_answered_with_what_may_have_been_meant() -> None:
    result = CliRunner().invoke(app, ["statsu"])
    assert result.exit_code == 2
    assert "'status'" in result.output


def test_a_command_that_only_talks_to_the_services_starts_without_what_is_slow() -> None:
    modules = "lastmetre.cli.main, lastmetre.cli.client"
    look = f"import sys, {modules}; print({set(SLOW)} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", look], check=True, capture_output=True, text=True)
    assert found.stdout == "set()\n"
