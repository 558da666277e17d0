"""Where a stack keeps what: everything lies under one folder, its home."""

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lastmetre.cli.endpoints import FILE
from lastmetre.devstack.errors import StackError

_PACKAGED = Path(__file__).resolve().with_name("deploy")
"""In a wheel; in a checkout the files lie outside the package."""
CHECKOUT = None if _PACKAGED.is_dir() else Path(__file__).resolve().parents[4]
_DEPLOY = CHECKOUT / "deploy" if CHECKOUT else _PACKAGED
LOCAL = _DEPLOY / "local"
SAMPLE_CITY = _DEPLOY / "sample-city"
_SOCKET_PATH_BYTES = 90
"""A socket's path has at most 107 bytes, and supervisord adds its pid while it makes one."""


def cache_folder() -> Path:
    """What all stacks of a checkout, or of a user, share (LASTMETRE_CACHE moves it)."""
    if moved := os.environ.get("LASTMETRE_CACHE"):
        return Path(moved).absolute()
    if CHECKOUT:
        return CHECKOUT / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lastmetre"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, all of it or nothing."""
    scratch = path.with_name(f".{path.name}.new")
    scratch.unlink(missing_ok=True)
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    scratch.replace(path)


@dataclass(frozen=True)
class Home:
    """The folders of one stack."""

    root: Path

    @property
    def run(self) -> Path:
        """Settings made for this run, the lock, supervisord's socket."""
        return self.root / "run"

    @property
    def data(self) -> Path:
        """What broker and database keep."""
        return self.root / "data"

    @property
    def logs(self) -> Path:
        """One log a process, rotated."""
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        """Keys and passwords, made once."""
        return self.root / "secrets"

    @property
    def outbox(self) -> Path:
        """Messages to reporters and leads, one readable file each."""
        return self.root / "outbox"

    @property
    def photos(self) -> Path:
        """Photos of reports, encrypted."""
        return self.data / "photos"

    @property
    def endpoints(self) -> Path:
        """Who listens where, for people's scripts and outside tools."""
        return self.root / FILE

    @property
    def control_socket(self) -> Path:
        """Where supervisord listens; outside the home if that lies too deep for a socket."""
        path = self.run / "supervisor.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
            return path
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"lastmetre-{os.getuid()}-{digest}.sock"

    def make(self) -> None:
        """Make the folders; keys, settings, logs and messages are nobody else's business."""
        self.root.mkdir(parents=True, exist_ok=True)
        for folder in (self.run, self.data, self.logs, self.outbox, self.secrets):
            folder.mkdir(exist_ok=True)
        for folder in (self.run, self.logs, self.outbox, self.secrets):
            folder.chmod(0o700)
        # The database's own user has to get through these, and sees no names in them.
        for folder in (self.root, self.data):
            folder.chmod(0o711)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for this process. The kernel lets go of it however the process ends.

        Raises StackError if another stack holds it.
        """
        with (self.run / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise StackError(
                    f"Another stack (process {holder}) is running in {self.root}.",
                    "stop that one first, or give this one a folder of its own by LASTMETRE_HOME.",
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
