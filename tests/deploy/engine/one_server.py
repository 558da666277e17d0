"""The stack of deploy/compose in a folder of its own, by the lines of docs/operations.md."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.deploy.engine.documented import lines_below
from tests.deploy.rendering import ROOT

PORT: Final = 18443
PROMETHEUS_PORT: Final = 19090
RESIDENTS: Final = "report.lastmetre.example"
STAFF: Final = "staff.lastmetre.example"
STAND_INS: Final = ("kafka", "postgresql", "proxy", "prometheus", "alertmanager")
FILES: Final = "compose.yaml:compose.trial.yaml"
MONITORING: Final = f"{FILES}:compose.monitoring.yaml:compose.trial.monitoring.yaml"
FIRST_LINE: Final = "cp .env.example .env; cp city.env.example city.env"


class OneServer:
    """A copy of deploy/compose with its secrets and its data; `folder` is not there yet."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.compose = folder / "deploy" / "compose"
        self.srv = folder / "srv"
        self.messages = self.srv / "lastmetre" / "messages"
        self.backups = self.srv / "backups" / "lastmetre"
        self.secrets = self.compose / "secrets"
        shutil.copytree(
            ROOT / "deploy", folder / "deploy", ignore=lambda *_: {"secrets", ".env", "city.env"}
        )
        for file in (ROOT / "tests" / "deploy" / "engine").glob("compose.*.yaml"):
            shutil.copy(file, self.compose)
        shutil.copytree(ROOT / "deploy" / "sample-city", self.compose / "city")

    def type(self, lines: str, files: str = FILES) -> str:
        """What these lines print, typed in deploy/compose; AssertionError with what they say where
        one fails. Folders of /srv are this server's own."""
        environment = os.environ | {
            "COMPOSE_FILE": files,
            "COMPOSE_PROJECT_NAME": "lastmetre-trial",
            "COMPOSE_ANSI": "never",
        }
        said = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", lines.replace("/srv/", f"{self.srv}/")],
            cwd=self.compose,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert not said.returncode, f"{lines}: {said.stdout[-3000:]}\n{said.stderr[-3000:]}"
        return said.stdout

    def install(self) -> None:
        """Do what is documented: it is well and its books balance when that returns."""
        first, _, rest = lines_below("One server", "Installing").partition("\n")
        assert first.startswith(FIRST_LINE)
        self.type(first)
        self._fill_in()
        before, start, after = rest.partition("docker compose up -d --wait\n")
        assert start
        recipient = re.search(r"^age1\w+$", self.type(before), re.MULTILINE)
        assert recipient
        settings = self.compose / "city.env"
        empty = "LASTMETRE_BACKUP_RECIPIENT="
        text = settings.read_text("utf-8").replace(empty, empty + recipient[0])
        settings.write_text(text, "utf-8")
        self.type(start)
        self.type(after)

    def _fill_in(self) -> None:
        settings = self.compose / "city.env"
        text = settings.read_text("utf-8")
        text = re.sub("^LASTMETRE_TLS=.*$", "LASTMETRE_TLS=internal", text, flags=re.MULTILINE)
        text += "LASTMETRE_CATEGORIES_FILE=/run/lastmetre/city/categories.csv\n"
        settings.write_text(text, "utf-8")
        own = self.compose / ".env"
        text = own.read_text("utf-8")
        (once,) = re.findall("^# Once: (.*)$", text, re.MULTILINE)
        told = {f"{name.upper()}_IMAGE": f"lastmetre-trial-{name}:1" for name in STAND_INS}
        told |= {
            "LASTMETRE_IMAGE": os.environ.get("LASTMETRE_IMAGE", "lastmetre:trial"),
            "KAFKA_CLUSTER_ID": self.type(once).strip(),
            "TRIAL_PORT": str(PORT),
            "TRIAL_PROMETHEUS_PORT": str(PROMETHEUS_PORT),
        }
        kept = [
            line.replace("/srv/", f"{self.srv}/")
            for line in text.splitlines()
            if line.partition("=")[0] not in told
        ]
        lines = [*kept, *(f"{name}={value}" for name, value in told.items()), ""]
        own.write_text("\n".join(lines), "utf-8")

    def run(self, words: str) -> str:
        """What a command of compose prints."""
        return self.type(f"docker compose {words}")

    def up(self) -> None:
        """Start what is not running, and wait until all of it is well."""
        self.run("up -d --wait")

    def down(self) -> None:
        """Stop what there is; what was in volumes is lost."""
        self.run("down --volumes --remove-orphans --timeout 30 || true")

    def lastmetre(self, words: str) -> str:
        """What the command prints in a container of its own."""
        return self.run(f"run --rm -T command lastmetre {words}")

    def states(self) -> dict[str, tuple[str, int]]:
        """By service: its state, and the exit code of one that has ended."""
        return {each["Service"]: (each["State"], each["ExitCode"]) for each in self._containers()}

    def images(self) -> dict[str, str]:
        """By service: of what image it runs."""
        running = [each for each in self._containers() if each["State"] == "running"]
        return {each["Service"]: each["Image"] for each in running}

    def _containers(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run("ps --all --format json").splitlines()]

    def curl(self, host: str, path: str, *options: str) -> tuple[int, str]:
        """Status and body of a request through the proxy, whose certificate is checked."""
        authority = self.folder / "root.crt"
        if not authority.exists():
            self.run(f"cp proxy:/data/caddy/pki/authorities/local/root.crt {authority}")
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

    def add_channel_key(self, said: str) -> str:
        """Do with what `channel-key` says as documented; the key itself."""
        key, entry = said.splitlines()[:2]
        file = self.secrets / "keys-intake" / "channel_keys.json"
        known: list[Any] = json.loads(file.read_text("utf-8"))
        file.write_text(json.dumps([*known, json.loads(entry)]), "utf-8")
        return key
