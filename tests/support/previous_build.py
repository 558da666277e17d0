"""A build of before, from the repository's own history, beside this one on the same stack."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from lastmetre.cli.endpoints import Endpoints
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.devstack import Stack
from lastmetre.devstack.programs import DRAIN_SECONDS, MAXIMUM_PROCESSES, guarded
from lastmetre.devstack.services import is_ready
from lastmetre.devstack.waiting import wait_until

REPOSITORY: Final = Path(__file__).parents[2]
PROCESS: Final = MAXIMUM_PROCESSES - 1
"""The place of the old processes, which the new ones do not reach."""
READY_SECONDS: Final = 90.0


def checked_out(commit: str, folder: Path) -> Path:
    """The tree of a commit. Fails where the history does not reach so far back."""
    folder.mkdir(parents=True, exist_ok=True)
    packed = folder.with_suffix(".tar")
    archive = subprocess.run(
        ["git", "archive", "-o", str(packed), commit, "libs", "services"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if archive.returncode:
        raise AssertionError(
            f"commit {commit} is not in this clone's history (a shallow one? git fetch"
            f" --unshallow): {archive.stderr.decode()}"
        )
    subprocess.run(["tar", "-xf", str(packed), "-C", str(folder)], check=True)
    return folder


class StackOfTwoBuilds(Stack):
    """A stack beside whose services those of an older build may run; at first none of either."""

    def __init__(self, home: Path, older: Path, environment: dict[str, str]) -> None:
        super().__init__(home, scale=dict.fromkeys(SERVICES, 0), environment=environment)
        self._older = older
        self._old: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def endpoints(self) -> Endpoints:
        """Those of both builds."""
        found = super().endpoints
        instances = {
            each: [*found.instances[each], *([self.old_url(each)] if each in self._old else [])]
            for each in SERVICES
        }
        admin = {
            each: [*found.admin[each], *([self.old_url(each)] if each in self._old else [])]
            for each in SERVICES
        }
        services = {each: urls[0] for each, urls in instances.items() if urls}
        return found.model_copy(
            update={"services": services, "instances": instances, "admin": admin}
        )

    def old_url(self, service: str) -> str:
        """Where the old process answers."""
        return self.url(service, PROCESS)

    def old_log(self, service: str) -> Path:
        """What the old process says."""
        return self.home.logs / f"{service}-old.log"

    def start_old(self, *services: str) -> None:
        """One process of each of these services (without any: of all), as the older build runs
        them; returns when all are ready.

        Call it from the main thread: the processes die with the thread that started them.
        """
        assert threading.current_thread() is threading.main_thread()
        begun = {each: self._begin(each) for each in services or SERVICES}
        self._old |= begun
        for service, process in begun.items():
            self._wait_old(service, process)
        self._write_endpoints()

    def _begin(self, service: str) -> "subprocess.Popen[bytes]":
        folders = [self._older / "libs" / "common", self._older / "services" / service]
        path = ":".join(map(str, folders))
        # Each build asks its own intake, as behind one address either would be found.
        vault = f"INTAKE_INTERNAL_URL={self.old_url('intake')}"
        # All of its services read the key of links, in which two have no share any more.
        links = f"LASTMETRE_LINK_KEY_FILE={self.home.secrets / 'link_key'}"
        command = guarded(
            ["env", f"PYTHONPATH={path}", vault, links, sys.executable, "-m", service],
            environment=self.write_environment(service, PROCESS),
        )
        with self.old_log(service).open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.home.root, stdout=log, stderr=subprocess.STDOUT
            )

    def _wait_old(self, service: str, process: "subprocess.Popen[bytes]") -> None:
        def runs() -> None:
            assert process.poll() is None, self.old_log(service).read_text("utf-8")[-3000:]

        ready = wait_until(
            lambda: is_ready(self.old_url(service)), runs, READY_SECONDS, threading.Event()
        )
        assert ready, self.old_log(service).read_text("utf-8")[-3000:]

    def stop_old(self, *services: str) -> dict[str, int]:
        """Stop those of these services (without any: all) in their orderly way; exit codes."""
        ending = {each: self._old.pop(each) for each in services or tuple(self._old)}
        self._write_endpoints()
        for process in ending.values():
            process.send_signal(signal.SIGTERM)
        return {service: process.wait(DRAIN_SECONDS) for service, process in ending.items()}

    def stop(self) -> None:
        """Stop all of it."""
        for process in self._old.values():
            process.kill()
            process.wait()
        self._old = {}
        super().stop()
