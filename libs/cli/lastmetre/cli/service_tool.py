"""Runs a tool of a service, as `lastmetre.metrics.entrypoints.rebuild`, as its processes run."""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from tempfile import TemporaryFile
from typing import Any, Final

from lastmetre.cli.console import Bar, Trouble, UsedWrongly, progress_bar
from lastmetre.cli.profile import installation
from lastmetre.common.service.starting import WRONG_SETTINGS

_PROGRESS: Final = re.compile(r"[a-z]+ (\d+)/(\d+)")


def run_tool(service: str, tool: str, title: str, arguments: Sequence[str]) -> dict[str, Any]:
    """The tool's JSON document, with a progress bar meanwhile.

    Raises UsedWrongly without an address, Trouble without the tool or with what it said.
    """
    module = f"lastmetre.{service}.entrypoints.{tool}"
    environment = _environment(service)
    said: list[str] = []
    with (
        TemporaryFile("w+") as answer,
        subprocess.Popen(
            [sys.executable, "-m", module, "--json", *arguments],
            env=environment,
            stdout=answer,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        with progress_bar(title, 0) as bar:
            for line in process.stderr:
                _follow(bar, said, line)
        process.wait()
        answer.seek(0)
        output = answer.read()
    if not output and process.returncode == WRONG_SETTINGS:
        raise UsedWrongly("\n".join(said), "`lastmetre doctor` looks at all that is set.")
    if not output:
        raise Trouble("\n".join(said[-5:]) or f"the tool ended with {process.returncode}",
                      "`lastmetre status` shows what answers.")  # fmt: skip
    document: dict[str, Any] = json.loads(output)
    return document


def _follow(bar: Bar, said: list[str], line: str) -> None:
    if counted := _PROGRESS.fullmatch(line.strip()):
        bar.at(int(counted[1]), int(counted[2]))
    elif line.strip():
        said.append(line.strip())


def _environment(service: str) -> dict[str, str]:
    found = installation()
    found.database(service)
    if find_spec(f"lastmetre.{service}") is None:
        raise Trouble(
            f"The tool of {service} is not installed here.",
            f"install the package lastmetre-{service}, or run this where the service runs.",
        )
    return found.environment_of(service)
