"""Waiting for something to answer, without a fixed length of time and without an end to none."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lastmetre.devstack.errors import StackError
from lastmetre.devstack.process_guard import PARENT_VARIABLE
from lastmetre.devstack.programs import guarded


class Cancelled(Exception):
    """The stack is being stopped while it starts."""


def wait_until(
    ready: Callable[[], bool],
    check: Callable[[], None],
    seconds: float,
    cancelled: threading.Event,
) -> bool:
    """Ask `ready` until it says yes; False after `seconds`.

    `check` is called now and then, and raises when there is nothing left to wait for. Raises
    Cancelled as soon as `cancelled` is set.
    """
    deadline = time.monotonic() + seconds
    next_check = time.monotonic() + 0.5
    while not ready():
        now = time.monotonic()
        if now > deadline:
            return False
        if now > next_check:
            check()
            next_check = now + 0.5
        if cancelled.wait(0.05):
            raise Cancelled
    return True


def run_tool(
    command: Sequence[str],
    log: Path,
    cancelled: threading.Event,
    cwd: Path | None = None,
    seconds: float = 600,
) -> None:
    """Run a tool to its end, its output in `log`. It ends with us, or when `cancelled` is set.

    Raises StackError if it fails.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            guarded(command),
            env=os.environ | {PARENT_VARIABLE: str(os.getpid())},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            ended = wait_until(lambda: process.poll() is not None, _nothing, seconds, cancelled)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    if not ended:
        raise StackError(f"{Path(command[0]).name} took longer than {seconds:.0f} s.", log=log)
    if process.returncode != 0:
        raise StackError(f"{Path(command[0]).name} failed ({process.returncode}).", log=log)


def _nothing() -> None:
    return None
