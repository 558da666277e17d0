"""Programs of a rig: started, killed, frozen, and started again when they are to stay."""

import os
import signal as signals
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from lastmetre.devstack.process_guard import PARENT_VARIABLE

RESTART_SECONDS: Final = 1.0
ENDS_WITHIN_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Exit:
    """The end of a process: its exit code, or minus the signal. `wanted`: the trial ended it."""

    name: str
    code: int
    wanted: bool
    at: float


class Process:
    """One program, by a thread that starts it, notes how it ends, and starts it again.

    With `stays` it is started again after every end, as a supervisor does, until `end`. The command
    is to be guarded: it dies with the thread, and that with the tests.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, *, stays: bool = False
    ) -> None:
        self.name = name
        self.exits: list[Exit] = []
        self._command = list(command)
        self._log = log
        self._stays = stays
        self._wanted = False
        self._up = threading.Event()
        self._enough = threading.Event()
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id, 0 while it does not run."""
        process = self._process
        return process.pid if process and process.poll() is None else 0

    @property
    def log(self) -> Path:
        """What it writes."""
        return self._log

    def start(self) -> None:
        """Start it, and return once it has a process id."""
        self._enough.clear()
        self._up.clear()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()
        self._up.wait()

    def _run(self) -> None:
        environment = os.environ | {PARENT_VARIABLE: str(os.getpid())}
        while True:
            self._wanted = False
            with self._log.open("ab") as output:
                self._process = subprocess.Popen(
                    self._command,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._up.set()
            code = self._process.wait()
            self.exits.append(Exit(self.name, code, self._wanted, time.monotonic()))
            if not self._stays or self._enough.wait(RESTART_SECONDS):
                return

    def signal(self, number: signals.Signals) -> None:
        """Send a signal. One that ends it counts as wanted."""
        if number not in (signals.SIGSTOP, signals.SIGCONT):
            self._wanted = True
        if pid := self.pid:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.signal(signals.SIGKILL)

    def freeze(self) -> None:
        """It stands still, its connections stay."""
        self.signal(signals.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self.signal(signals.SIGCONT)

    def end(self, number: signals.Signals = signals.SIGTERM) -> int:
        """End it for good; returns its exit code. Who does not obey within 30 s is killed."""
        self._enough.set()
        self.thaw()
        self.signal(number)
        if self._thread:
            self._thread.join(ENDS_WITHIN_SECONDS)
            if self._thread.is_alive():
                self.kill()
                self._thread.join()
        return self.exits[-1].code if self.exits else 0


def children(pid: int, title: str) -> list[psutil.Process]:
    """The children of a process whose command line holds `title`."""
    return [
        each
        for each in psutil.Process(pid).children(recursive=True)
        if title in " ".join(each.cmdline())
    ]
