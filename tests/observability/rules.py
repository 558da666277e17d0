"""The rules of deploy/prometheus, and the programs that check them."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
PROMETHEUS: Final = ROOT / "deploy/prometheus"
RULES: Final = sorted((PROMETHEUS / "rules").glob("*.yaml"))


def program(name: str, package: str = "prometheus") -> str:
    """Where that program is; without it the test is skipped, but fails in CI."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{name} is not here")
        pytest.skip(f"{name} is not here: apt-get install {package}")
    return found


def checked(*command: str) -> None:
    """Run it; what it says is the failure's message."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def rules() -> list[dict[str, Any]]:
    """Every rule, recorded series and alerts, as in the files."""
    return [
        rule
        for file in RULES
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    """Every alert by its name."""
    found = [rule for rule in rules() if "alert" in rule]
    named = {rule["alert"]: rule for rule in found}
    assert len(named) == len(found) > 0
    return named
