"""The `lastmetre` command, run as a person runs it, against a stack of the tests."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from lastmetre.devstack import Stack


async def attempt(
    stack: Stack | None, *words: str | Path, **environment: str
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command, for that stack if there is one."""
    if stack:
        environment.setdefault("LASTMETRE_HOME", str(stack.home.root))
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("lastmetre")),
        *map(str, words),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode(), complained.decode()


async def lastmetre(
    stack: Stack, *words: str | Path, code: int = 0, **environment: str
) -> dict[str, Any]:
    """The document that a command prints with --json; it must end with that exit code."""
    ended, said, complained = await attempt(stack, *words, "--json", **environment)
    assert ended == code, f"{said}\n{complained}"
    document: dict[str, Any] = json.loads(said)
    return document
