"""The `lastmetre` command, run as a person runs it, against a stack of the tests."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from cli.stack import Stack


async def lastmetre(stack: Stack, *words: str | Path, code: int = 0) -> dict[str, Any]:
    """The document that a command prints with --json; it must end with that exit code."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("lastmetre")),
        *map(str, words),
        "--json",
        env={**os.environ, "LASTMETRE_HOME": str(stack.home.root)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complained = await process.communicate()
    assert process.returncode == code, f"{said.decode()}\n{complained.decode()}"
    document: dict[str, Any] = json.loads(said)
    return document
