"""The stack of deploy/compose in a folder of its own, run by a real engine."""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from lastmetre.cli.backup.sealing import new_identity
from lastmetre.common.contracts.topics import SERVICES
from tests.deploy.rendering import ROOT

PORT: Final = 18443
RESIDENTS: Final = "report.lastmetre.example"
STAFF: Final = "staff.lastmetre.example"
STAND_INS: Final = ("kafka", "postgresql", "proxy", "prometheus", "alertmanager")


def compose_command() -> list[str]:
    """`docker compose`, or the program that DOCKER_COMPOSE names."""
    return shlex.split(os.environ.get("DOCKER_COMPOSE", "docker compose"))


class OneServer:
    """A copy of deploy/compose with its secrets and its data; `folder` is not there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compose = folder / "deploy" / "compose"
        self.messages = folder / "messages"
        self.backups = folder / "backups"
        shutil.copytree(ROOT / "deploy", folder / "deploy")
        trial = ROOT / "tests" / "deploy" / "engine" / "compose.trial.yaml"
        shutil.copy(trial, self.compose)
        for path, owner in (
            (self.messages, 65532),
            (folder / "textfiles", 65532),
            (self.backups, 999),
            (self.backups / "log", 999),
        ):
            path.mkdir()
            os.chown(path, owner, owner)
        shutil.copytree(ROOT / "deploy" / "sample-city", folder / "city")
        (folder / "city" / "receivers").mkdir()
        (folder / "certificates").mkdir()
        key, recipient = new_identity()
        self.identity = folder / "identity"
        self.identity.write_text(key, "utf-8")
        self._write_settings(recipient)

    def _write_settings(self, recipient: str) -> None:
        example = (self.compose / "city.env.example").read_text("utf-8")
        replaced = ("LASTMETRE_TLS=", "LASTMETRE_BACKUP_RECIPIENT=")
        lines = [line for line in example.splitlines() if not line.startswith(replaced)]
        own = [
            f"LASTMETRE_BACKUP_RECIPIENT={recipient}",
            "LASTMETRE_TLS=internal",
            "LASTMETRE_CATEGORIES_FILE=/run/lastmetre/city/categories.csv",
        ]
        (self.compose / "city.env").write_text("\n".join([*lines, *own, ""]), "utf-8")
        images = {f"{name.upper()}_IMAGE": f"lastmetre-trial-{name}:1" for name in STAND_INS}
        told = {
            **images,
            "LASTMETRE_IMAGE": os.environ.get("LASTMETRE_IMAGE", "lastmetre:trial"),
            "KAFKA_CLUSTER_ID": "MkU3OEVBNTcwNTJENDM2Qk",
            "BACKUPS": self.backups,
            "IDENTITY": self.identity,
            "MESSAGES": self.messages,
            "SECRETS": self.folder / "secrets",
            "CITY": self.folder / "city",
            "CERTIFICATES": self.folder / "certificates",
            "TEXTFILES": self.folder / "textfiles",
            "TRIAL_PORT": PORT,
        }
        text = "".join(f"{name}={value}\n" for name, value in told.items())
        (self.compose / ".env").write_text(text, "utf-8")

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command of compose; AssertionError with what it said if it fails."""
        files = ["-f", "compose.yaml", "-f", "compose.monitoring.yaml", "-f", "compose.trial.yaml"]
        said = subprocess.run(
            [*compose_command(), "--project-name", "lastmetre-trial", *files, *words],
            cwd=self.compose,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and said.returncode:
            raise AssertionError(f"{words}: {said.stdout[-3000:]}\n{said.stderr[-3000:]}")
        return said

    def up(self) -> None:
        """Start what is not running, and wait until all of it is well."""
        self.run("up", "--detach", "--wait", "--wait-timeout", "420", *SERVICES, "proxy")

    def lastmetre(self, *words: str, mounts: tuple[str, ...] = (), **told: str) -> str:
        """What the command prints in a container of its own."""
        options = [f"--env={name}={value}" for name, value in told.items()]
        options += [f"--volume={each}" for each in mounts]
        return self.run("run", "--rm", "-T", *options, "command", "lastmetre", *words).stdout

    def states(self) -> dict[str, tuple[str, int]]:
        """By service: its state, and the exit code of one that has ended."""
        lines = self.run("ps", "--all", "--format", "json").stdout.splitlines()
        found = [json.loads(line) for line in lines]
        return {each["Service"]: (each["State"], each["ExitCode"]) for each in found}

    def curl(self, host: str, path: str, *options: str) -> tuple[int, str]:
        """Status and body of a request through the proxy, whose certificate is checked."""
        authority = self.folder / "root.crt"
        if not authority.exists():
            self.run("cp", "proxy:/data/caddy/pki/authorities/local/root.crt", str(authority))
        said = subprocess.run(
            [
                "curl", "--silent", "--show-error", "--cacert", authority, "--noproxy", "*",
                "--resolve", f"{host}:{PORT}:127.0.0.1", "--write-out", "\n%{http_code}",
                *options, f"https://{host}:{PORT}{path}",
            ],
            capture_output=True,
            text=True,
            check=True,
        )  # fmt: skip
        body, _, status = said.stdout.rpartition("\n")
        return int(status), body

    def partner(self) -> str:
        """A new key of the channel app, which intake knows after a restart."""
        said = self.lastmetre("channel-key", "--channel", "app", "--sender", "city-app")
        key, entry = said.splitlines()[:2]
        file = self.folder / "secrets" / "keys-intake" / "channel_keys.json"
        known: list[Any] = json.loads(file.read_text("utf-8"))
        file.write_text(json.dumps([*known, json.loads(entry)]), "utf-8")
        self.run("restart", "intake")
        self.up()
        return key
