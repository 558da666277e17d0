"""Ports on 127.0.0.1 that no two stacks or tests of a user choose at once.

That nobody listens at a port says nothing of who is about to. So a port that was chosen is reserved
by a lock, held until the process that chose it ends: one byte for each port of one file. All lie
below those that the kernel gives to outgoing connections, which would take them.
"""

import contextlib
import fcntl
import json
import os
import random
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path

from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import write_private

_LOWEST = 20_000
_choosing = threading.Lock()
_reserved: set[int] = set()
"""Those of this process: it would be given its own locks once more."""


class Ports:
    """The ports of a stack's listeners, the same as last time where nobody else has them."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, int] = {}
        self._checked: dict[str, int] = {}
        with contextlib.suppress(FileNotFoundError, ValueError):
            self._kept = json.loads(file.read_text("utf-8"))

    def get(self, name: str) -> int:
        """The port of the listener called `name`."""
        if name not in self._checked:
            kept = self._kept.get(name)
            self._checked[name] = kept if kept and _take_again(kept) else free_port()
            self._kept[name] = self._checked[name]
            write_private(self._file, json.dumps(self._kept))
        return self._checked[name]


def free_port() -> int:
    """One that nobody listens at, and that this process alone chooses until it ends."""
    highest = min(_first_outgoing(), 65_535) - 1
    with _choosing:
        for _ in range(1000):
            port = random.randint(_LOWEST, highest)
            if port not in _reserved and _reserve(port):
                return port
    raise StackError(f"No free port between {_LOWEST} and {highest} on 127.0.0.1.")


def _take_again(port: int) -> bool:
    with _choosing:
        return _nobody_listens(port) if port in _reserved else _reserve(port)


def _reserve(port: int) -> bool:
    try:
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    if not _nobody_listens(port):
        fcntl.lockf(_locks(), fcntl.LOCK_UN, 1, port)
        return False
    _reserved.add(port)
    return True


@cache
def _locks() -> int:
    # Opened once and never closed: closing any descriptor of a file lets go of all its locks.
    path = Path(tempfile.gettempdir()) / f"lastmetre-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def _first_outgoing() -> int:
    try:
        words = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()
    except OSError:
        return 32_768
    return max(int(words[0]), _LOWEST + 1000)


def _nobody_listens(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of a stack that has just ended do not hold its port; a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True
