"""What the services say about themselves, asked of each in a process of its own."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.access_tokens import public_key

_KEY: Final = "A" * 43
"""32 bytes: nobody is let in by it, for nothing is served."""


def descriptions() -> dict[str, dict[str, Any]]:
    """By service: `openapi`, `subscribers` and `publishes`. Needs the services' packages."""
    with TemporaryDirectory() as folder:
        return {service: _describe(service, Path(folder)) for service in SERVICES}


def _describe(service: str, folder: Path) -> dict[str, Any]:
    channel_keys = folder / "channel_keys.json"
    channel_keys.write_text("[]")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    said = subprocess.run(
        [sys.executable, "-m", f"lastmetre.{service}", "describe"],
        env={
            **kept,
            "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
            f"{service.upper()}_DATABASE_URL": "postgresql://localhost/nothing",
            f"{service.upper()}_SERVICE_KEY": _KEY,
            "LASTMETRE_ACCESS_KEYS": base64.urlsafe_b64encode(public_key(bytes(32))).decode(),
            "INTAKE_ACCESS_KEY": _KEY,
            "LASTMETRE_LINK_KEY": _KEY,
            "INTAKE_VAULT_KEY": _KEY,
            "INTAKE_CHANNEL_KEYS_FILE": str(channel_keys),
            "INTAKE_INTERNAL_URL": "http://localhost",
            "NOTIFY_INTERNAL_URL": "http://localhost",
        },
        stdout=subprocess.PIPE,
        check=True,
    )
    document: dict[str, Any] = json.loads(said.stdout)
    return document
