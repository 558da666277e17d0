"""Ports on 127.0.0.1 that no two stacks or tests choose at once.

That nobody listens at a port says nothing of who is about to. So whoever chooses one holds a socket
of its name in Linux's abstract namespace, which the kernel gives to one process at a time and takes
back at that one's end; nothing is written anywhere. All ports lie below those that the kernel gives
to outgoing connections, which would take them.
"""

import contextlib
import json
import random
import socket
import threading
from pathlib import Path
from typing import Final

from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import write_private

_LOWEST: Final = 20_000
_choosing = threading.Lock()
_reserved: dict[int, socket.socket] = {}
"""By port, in the order in which this process chose them."""
_MOST_RESERVED: Final = 256
"""More than a process has chosen and not used yet: each is an open file."""


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
    """One that nobody listens at, and that this process alone has chosen."""
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
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind(f"\0lastmetre-port-{port}")
    except OSError:
        name.close()
        return False
    if not _nobody_listens(port):
        name.close()
        return False
    _reserved[port] = name
    if len(_reserved) > _MOST_RESERVED:
        _reserved.pop(next(iter(_reserved))).close()
    return True


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
