"""Ports on this machine."""

import contextlib
import json
import random
import socket
from pathlib import Path

from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import write_private

_LOWEST_PORT = 20_000


class Ports:
    """Ports on 127.0.0.1, the same ones as last time where they are still free.

    All lie below those that the kernel gives to outgoing connections, which would take them.
    """

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
            self._checked[name] = kept if kept and _is_free(kept) else self._choose()
            self._kept[name] = self._checked[name]
            write_private(self._file, json.dumps(self._kept))
        return self._checked[name]

    def _choose(self) -> int:
        taken = set(self._kept.values())
        highest = min(_first_outgoing_port(), 65_535) - 1
        for _ in range(1000):
            port = random.randint(_LOWEST_PORT, highest)
            if port not in taken and _is_free(port):
                return port
        raise StackError(f"No free port between {_LOWEST_PORT} and {highest} on 127.0.0.1.")


def _first_outgoing_port() -> int:
    try:
        words = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split()
    except OSError:
        return 32_768
    return max(int(words[0]), _LOWEST_PORT + 1000)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Connections of a stack that has just ended do not hold its port; a listener does.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError:
            return False
    return True
