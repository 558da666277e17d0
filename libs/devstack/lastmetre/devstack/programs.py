"""The programs of a stack, kept running by supervisord and asked after through its socket."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
import xmlrpc.client
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
from supervisor.xmlrpc import SupervisorTransport

from lastmetre.devstack.errors import StackError
from lastmetre.devstack.home import Home, write_private
from lastmetre.devstack.process_guard import PARENT_VARIABLE

BACKENDS: Final = "backends"
SERVICES_GROUP: Final = "services"
MAXIMUM_PROCESSES: Final = 8
"""Most processes of one service on one machine."""
DRAIN_SECONDS: Final = 15
_GUARD = str(Path(__file__).with_name("process_guard.py"))
_EXITS_AT_START = 3
"""A program that ends this often while it is waited for will not come."""


def guarded(
    command: Sequence[str], ending: str = "SIGKILL", environment: Path | str = "-"
) -> list[str]:
    """The command, made to die by the signal `ending` when its parent does."""
    return [sys.executable, "-I", "-S", _GUARD, ending, str(environment), *command]


@dataclass(frozen=True)
class Program:
    """One program for supervisord; `count` processes of it are declared, none started."""

    name: str
    command: Sequence[str]
    group: str
    priority: int
    stop_signal: str = "TERM"
    stop_seconds: int = 30
    count: int = 1

    def section(self, home: Home) -> str:
        """This program in supervisord's settings."""
        many = self.count > 1
        label = f"{self.name}-%(process_num)d" if many else self.name
        return "\n".join(
            [
                f"[program:{self.name}]",
                # What comes from us may hold "%"; what supervisord is to fill in is marked {n}.
                "command=" + _escaped(shlex.join(self.command)).replace("{n}", "%(process_num)d"),
                f"process_name={label}",
                f"numprocs={self.count}",
                f"directory={_escaped(str(home.root))}",
                f"priority={self.priority}",
                "autostart=false",
                "autorestart=true",
                "startsecs=1",
                "startretries=5",
                f"stopsignal={self.stop_signal}",
                f"stopwaitsecs={self.stop_seconds}",
                "killasgroup=true",
                "redirect_stderr=true",
                f"stdout_logfile={_escaped(str(home.logs))}/{label}.log",
                "stdout_logfile_maxbytes=10MB",
                "stdout_logfile_backups=3",
                "",
            ]
        )


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def full_name(program: str, process: int = 0) -> str:
    """How supervisord calls a process: kafka and postgres are one, a service has several."""
    if program in ("kafka", "postgres"):
        return f"{BACKENDS}:{program}"
    return f"{SERVICES_GROUP}:{program}-{process}"


class Supervisor:
    """A supervisord of our own, bound to this process: it stops all it runs when we die."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._settings = home.run / "supervisord.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self._started = threading.Event()
        self._keeper: threading.Thread | None = None

    def start(self, programs: Sequence[Program]) -> None:
        """Start supervisord, ready to be asked; it starts no program by itself."""
        self._home.control_socket.unlink(missing_ok=True)
        write_private(self._settings, self._written(programs))
        # The kernel ties the guard to the thread that starts a process, not to the process:
        # so a thread of our own starts it and stays as long as it runs.
        self._keeper = threading.Thread(target=self._keep, name="supervisord", daemon=True)
        self._keeper.start()
        self._started.wait()
        deadline = time.monotonic() + 20
        while not self._answers():
            if not self.alive or time.monotonic() > deadline:
                raise StackError(
                    "supervisord did not start.", log=self._home.logs / "supervisord.log"
                )
            time.sleep(0.02)

    def _keep(self) -> None:
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-s"]
        environment = os.environ | {PARENT_VARIABLE: str(os.getpid()), "PYTHONSAFEPATH": "1"}
        try:
            with (self._home.logs / "supervisord.err").open("wb") as errors:
                self._process = subprocess.Popen(
                    guarded([*command, "-c", str(self._settings)], "SIGTERM"),
                    env=environment,
                    cwd=self._home.run,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    # Ctrl-C in the terminal is for us alone: we stop the others in order.
                    start_new_session=True,
                )
        finally:
            self._started.set()
        self._process.wait()

    def _written(self, programs: Sequence[Program]) -> str:
        groups = {
            name: ",".join(p.name for p in programs if p.group == name)
            for name in dict.fromkeys(p.group for p in programs)
        }
        order = {BACKENDS: 10, SERVICES_GROUP: 100}
        run, logs = _escaped(str(self._home.run)), _escaped(str(self._home.logs))
        return "\n".join(
            [
                "[supervisord]",
                f"logfile={logs}/supervisord.log",
                "logfile_maxbytes=5MB",
                "logfile_backups=1",
                f"pidfile={run}/supervisord.pid",
                f"childlogdir={logs}",
                # Being root is known and meant; without this it warns.
                *(["user=root"] if os.getuid() == 0 else []),
                "[unix_http_server]",
                f"file={_escaped(str(self._home.control_socket))}",
                "chmod=0700",
                "[rpcinterface:supervisor]",
                "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
                *(program.section(self._home) for program in programs),
                *(
                    f"[group:{name}]\nprograms={members}\npriority={order[name]}\n"
                    for name, members in groups.items()
                ),
            ]
        )

    @property
    def pid(self) -> int:
        """supervisord's own process id, 0 if it was never started."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether supervisord runs."""
        return self._process is not None and self._process.poll() is None

    @contextlib.contextmanager
    def _remote(self) -> Iterator[Any]:
        transport = SupervisorTransport(None, None, f"unix://{self._home.control_socket}")
        with xmlrpc.client.ServerProxy("http://localhost", transport=transport) as proxy:
            yield proxy.supervisor

    def _answers(self) -> bool:
        try:
            with self._remote() as remote:
                return bool(remote.getState())
        except (OSError, xmlrpc.client.Error):
            return False

    def call(self, method: str, *arguments: Any) -> Any:
        """Ask supervisord. Raises StackError if it is gone, or says no."""
        try:
            with self._remote() as remote:
                return getattr(remote, method)(*arguments)
        except OSError as error:
            raise StackError(
                "supervisord, which keeps the stack's programs, is gone; they ended with it.",
                "start the stack again; nothing that was acknowledged is lost.",
                self._home.logs / "supervisord.log",
            ) from error
        except xmlrpc.client.Fault as fault:
            raise StackError(f"supervisord refused {method}{arguments}: {fault}") from fault

    def all(self) -> list[dict[str, Any]]:
        """What supervisord knows of every process."""
        return list(self.call("getAllProcessInfo"))

    def info(self, name: str) -> dict[str, Any]:
        """What supervisord knows of one process; times are whole Unix seconds."""
        return dict(self.call("getProcessInfo", name))

    def begin(self, name: str) -> None:
        """Start a process, if it does not run, without waiting for it."""
        if self.info(name)["statename"] not in ("RUNNING", "STARTING", "BACKOFF"):
            self.call("startProcess", name, False)

    def end(self, *names: str) -> None:
        """Stop processes together, each by its signal, and wait until they are gone."""
        running = [n for n in names if self.info(n)["statename"] not in _AT_REST]
        for name in running:
            # It may have ended since it was asked after.
            with contextlib.suppress(StackError):
                self.call("stopProcess", name, False)
        while any(self.info(name)["statename"] not in _AT_REST for name in running):
            time.sleep(0.05)

    def exits(self, name: str) -> "ExitCounter":
        """Count how often a process ends from now on."""
        return ExitCounter(self, name)

    def log(self, name: str) -> Path:
        """The log of a process."""
        return self._home.logs / f"{name.partition(':')[2]}.log"

    def stop(self) -> None:
        """Stop everything, services first, and supervisord itself."""
        if self.alive and self._process and self._keeper:
            self._process.send_signal(signal.SIGTERM)
            self._keeper.join(60)
            if self._keeper.is_alive():
                self._process.kill()
                self._keeper.join()
        self._home.control_socket.unlink(missing_ok=True)


def running_processes(home: Path) -> dict[str, dict[str, Any]]:
    """What supervisord knows of each process of the stack there; nothing where none runs.

    `lastmetre status` finds it by the entry point `lastmetre.processes`.
    """
    try:
        return {each["name"]: each for each in Supervisor(Home(home)).all()}
    except StackError:
        return {}


_AT_REST = ("STOPPED", "EXITED", "FATAL", "UNKNOWN")


class ExitCounter:
    """Notices a process that supervisord starts again and again."""

    def __init__(self, supervisor: Supervisor, name: str) -> None:
        self._supervisor = supervisor
        self._name = name
        self._ends: set[int] = set()
        self._first = supervisor.info(name)["stop"]

    def check(self, what: str, way_out: str) -> None:
        """Raise StackError once the process has ended too often to hope."""
        info = self._supervisor.info(self._name)
        if info["stop"] != self._first:
            self._ends.add(info["stop"])
        if info["statename"] == "FATAL" or len(self._ends) >= _EXITS_AT_START:
            raise StackError(f"{what} does not start.", way_out, self._supervisor.log(self._name))


def end_leftovers(home: Home, seconds: float = 40) -> None:
    """Wait for the supervisord of a crashed stack in this home to end; end it if it does not."""
    try:
        process = psutil.Process(int((home.run / "supervisord.pid").read_text("ascii")))
        ours = str(home.run / "supervisord.conf") in process.cmdline()
    except (OSError, ValueError, psutil.Error):
        return
    if not ours:
        return
    family = [process, *process.children(recursive=True)]
    with contextlib.suppress(psutil.Error):
        process.terminate()
    _, alive = psutil.wait_procs(family, timeout=seconds)
    for left in alive:
        with contextlib.suppress(psutil.Error):
            left.kill()
    psutil.wait_procs(alive, timeout=10)
