"""Check `secrets`: files that hold them, who may read those, and whether they go together."""

import base64
import binascii
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lastmetre.cli.doctor.findings import Findings
from lastmetre.cli.profile import Installation
from lastmetre.cli.rotating_files import public_part
from lastmetre.cli.secret_files import Platform, secret_folders
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.caller_keys import key_digest

KEY_BYTES: Final = 32
_KEYS: Final = ("access_key", "link_key", "vault_key", "identity_key", "fingerprint_key")
_SAME: Final = (*_KEYS, "access_keys", "link_old_keys", "vault_old_keys")
_SECRET: Final = (
    "_KEY_FILE",
    "_PASSWORD_FILE",
    "_SECRET_FILE",
    "_KEYS_FILE",
    "_TOKEN_FILE",
    "_URL_FILE",
)
"""Ends of the names of settings whose files hold secrets."""
_OTHERS: Final = stat.S_IRWXO | stat.S_IWGRP


async def look_at_secrets(
    installation: Installation, said: Findings, folder: Path | None = None
) -> None:
    """Files that settings name, a development stack's, and those of `folder` (secrets make)."""
    told = installation.environment()
    for name in sorted(told):
        if name.endswith(_SECRET) and told[name]:
            _file(name, Path(told[name]), said)
    if home := installation.stack_home:
        for path in (home / "endpoints.json", *sorted((home / "secrets").glob("*"))):
            if path.exists():
                _file(str(path.relative_to(home)), path, said)
    if folder is not None:
        _folder(folder, said)


def _file(name: str, path: Path, said: Findings) -> None:
    subject = f"{name} ({path})" if str(path) != name else name
    try:
        mode = path.stat().st_mode
        text = path.read_text("utf-8")
    except OSError as error:
        said.wrong(
            "secret-unreadable",
            subject,
            f"{error.strerror}",
            "who needs it does not start",
            "correct the path, or give the file to its reader: `lastmetre secrets make` says whom",
        )
        return
    if mode & _OTHERS:
        said.wrong(
            "secret-open",
            subject,
            f"mode {stat.S_IMODE(mode):04o}: others may read or change it",
            "whoever has an account on this machine has the key",
            f"chmod 600 {path}",
        )
    elif not text.strip() and "old_keys" not in path.name:
        said.wrong(
            "secret-empty", subject, "is empty", "who needs it does not start", "put the key there"
        )
    else:
        said.fine(subject, f"mode {stat.S_IMODE(mode):04o}")


def _folder(folder: Path, said: Findings) -> None:
    """All of an installation's, as `secrets make` writes them."""
    if not folder.is_dir():
        said.wrong(
            "secrets-missing",
            str(folder),
            "is not there",
            "nothing starts",
            f"`lastmetre secrets make {folder}`, once",
        )
        return
    platform = Platform.COMPOSE if (folder / "grafana").exists() else Platform.KUBERNETES
    for name in sorted(secret_folders(platform, bytes)):
        wanted = secret_folders(platform, bytes)[name]
        mode = stat.S_IMODE((folder / name).stat().st_mode) if (folder / name).exists() else 0
        if mode & stat.S_IRWXO:
            said.wrong(
                "secret-open",
                name,
                f"mode {mode:04o}",
                "others may look into it",
                f"chmod 700 {folder / name}",
            )
        for file in wanted.files:
            path = folder / name / file
            _file(f"{name}/{file}", path, said)
            if platform is Platform.COMPOSE and os.geteuid() == 0 and path.exists():
                _owner(path, wanted.owner, said)
    for code, subject, found in disagreements(folder):
        said.wrong(
            code,
            subject,
            found,
            "services refuse each other, links or contacts",
            "bring the copies to one: docs/security.md, Keys",
        )


def _owner(path: Path, owner: int, said: Findings) -> None:
    if (found := path.stat().st_uid) != owner:
        said.wrong(
            "secret-of-another",
            str(path),
            f"belongs to user {found}",
            f"user {owner}, who reads it in its container, cannot",
            f"chown {owner}:{owner} {path}",
        )


def disagreements(folder: Path) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the keys below `folder`: code, which, and why. No key is shown."""
    texts = {
        (service, file.name): file.read_text("utf-8").strip()
        for service in SERVICES
        for file in (folder / f"keys-{service}").glob("*")
        if os.access(file, os.R_OK)
    }
    for name in _SAME:
        found = {service: text for (service, file), text in texts.items() if file == name}
        for service, text in found.items():
            if name in _KEYS and not _is_key(text):
                yield "key-malformed", f"keys-{service}/{name}", "is not base64url of 32 bytes"
        if len(set(found.values())) > 1:
            yield "keys-differ", name, f"is not the same for {', '.join(found)}"
    signing = texts.get(("intake", "access_key"), "")
    for service in SERVICES:
        public = texts.get((service, "access_keys"), "").split()
        if _is_key(signing) and public_part(signing) not in public:
            yield "access-key-unknown", service, "does not know the key that signs staff's tokens"
        try:
            known = json.loads(texts.get((service, "service_keys.json"), "{}"))
        except ValueError:
            yield "key-malformed", f"keys-{service}/service_keys.json", "is not JSON"
            continue
        for other in SERVICES:
            own = texts.get((other, "service_key"))
            if own and key_digest(own) not in known.get(other, []):
                yield "service-key-unknown", other, f"its key is not one that {service} knows"


def _is_key(text: str) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) >= KEY_BYTES
    except (binascii.Error, ValueError):
        return False
