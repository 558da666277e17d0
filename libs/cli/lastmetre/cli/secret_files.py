"""`lastmetre secrets`: every key and password of an installation, made once, as files."""

import base64
import json
import os
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from lastmetre.cli.console import STDOUT, Trouble, say
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.postgres.provide import AUDIT_ROLE
from lastmetre.common.security.access_tokens import public_key
from lastmetre.common.security.caller_keys import key_digest

app = typer.Typer(name="secrets", no_args_is_help=True)

AUDIT: Final = "audit"
PROMETHEUS: Final = "prometheus"
OUR_USER: Final = 65532
"""Who runs in the image."""
_PROMETHEUS_USER: Final = 65534
_GRAFANA_USER: Final = 472
_AUTHORITY: Final = "sslmode=verify-full&sslrootcert=/run/lastmetre/authorities/postgresql.crt&"

RandomBytes = Callable[[int], bytes]


class Platform(StrEnum):
    """Where the files are for: it decides how PostgreSQL is reached."""

    COMPOSE = "compose"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True)
class Folder:
    """The files of one secret by their names, and the user who reads them on one server."""

    files: Mapping[str, str]
    owner: int = OUR_USER


def secret_folders(platform: Platform, random_bytes: RandomBytes) -> dict[str, Folder]:
    """Every secret by the name of its folder; in Kubernetes `lastmetre-` stands before that."""

    def key() -> str:
        return _text(random_bytes(32))

    def word() -> str:
        return random_bytes(24).hex()

    link_key, access_key, vault_key = key(), random_bytes(32), key()
    service_keys = {name: word() for name in (*SERVICES, PROMETHEUS)}
    digests = json.dumps({name: [key_digest(each)] for name, each in service_keys.items()})
    shared = {
        "access_keys": _text(public_key(access_key)),
        "service_keys.json": digests,
    }
    # Old keys come with `lastmetre rotate`; first ones stay, for things are told by them for ever.
    links = {"link_key": link_key, "link_old_keys": "", "identity_key": link_key}
    vault = {"vault_key": vault_key, "vault_old_keys": "", "fingerprint_key": vault_key}
    only = {
        "intake": {
            "access_key": _text(access_key),
            **links,
            **vault,
            "channel_keys.json": "[]",
        },
        "notify": links,
    }
    found = {
        f"keys-{service}": Folder(
            {**shared, "service_key": service_keys[service], **only.get(service, {})}
        )
        for service in SERVICES
    }
    found |= {f"database-{service}": _database(platform, service, word()) for service in SERVICES}
    found[f"database-{AUDIT}"] = _audit(platform, word())
    found[PROMETHEUS] = Folder({"service_key": service_keys[PROMETHEUS]}, _PROMETHEUS_USER)
    if platform is Platform.COMPOSE:
        password = word()
        url = f"postgresql://postgres:{password}@postgresql:5432/postgres"
        found["database-superuser"] = Folder({"password": password, "url": url})
        found["grafana"] = Folder({"password": word()}, _GRAFANA_USER)
    return found


def _text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode("ascii")


def _database(platform: Platform, service: str, password: str) -> Folder:
    url = _url(platform, service, password, service, "target_session_attrs=read-write")
    return Folder({"username": service, "password": password, "url": url})


def _audit(platform: Platform, password: str) -> Folder:
    # Its snapshot stays open while it counts a whole topic.
    session = (
        "target_session_attrs=primary&default_transaction_read_only=on"
        "&idle_in_transaction_session_timeout=600000"
    )
    urls = {each: _url(platform, AUDIT_ROLE, password, each, session) for each in SERVICES}
    return Folder({"username": AUDIT_ROLE, "password": password, **urls})


def _url(platform: Platform, role: str, password: str, database: str, session: str) -> str:
    if platform is Platform.COMPOSE:
        return f"postgresql://{role}:{password}@postgresql:5432/{database}?{session}"
    server = "lastmetre-postgresql-rw:5432"
    return f"postgresql://{role}:{password}@{server}/{database}?{_AUTHORITY}{session}"


def write(folders: Mapping[str, Folder], target: Path, *, as_owners: bool) -> None:
    """Write all files or none, each for its owner alone. FileExistsError if there is anything."""
    if target.exists() and any(target.iterdir()):
        raise FileExistsError(target)
    scratch = target.with_name(f".{target.name}.new")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(mode=0o700)
    for name, folder in folders.items():
        inner = scratch / name
        inner.mkdir(mode=0o700)
        for file, text in folder.files.items():
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(inner / file, flags, 0o600), "w", encoding="utf-8") as opened:
                opened.write(text)
        if as_owners:
            for each in (inner, *inner.iterdir()):
                os.chown(each, folder.owner, folder.owner)
    scratch.replace(target)


@app.callback()
def secret_files() -> None:
    """The keys and passwords of an installation."""


@app.command()
def make(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Not there yet, or empty.")],
    platform: Annotated[Platform, typer.Option(help="What the files are for.")] = Platform.COMPOSE,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the files, write none.")] = False,
) -> None:
    """Make every key and password once, each in a file that only its reader may open.

    Nothing that is there is ever replaced: `lastmetre rotate` and docs/security.md do that. Keep a
    copy where the backups are not: without the vault's key contacts are gone, without the links'
    key every link in people's hands. As root, on one server, files belong to those who read them
    in their containers; else they belong to you.

    Examples:

        lastmetre secrets make deploy/compose/secrets
        lastmetre secrets make --platform kubernetes --dry-run secrets
    """
    if folder.exists() and any(folder.iterdir()):
        raise Trouble(
            f"There is something in {folder} already: keys are made once.",
            "name another folder; docs/security.md says how a key is replaced.",
        )
    folders = secret_folders(platform, secrets.token_bytes)
    for name, each in folders.items():
        for file in each.files:
            STDOUT.print(f"{name}/{file}", markup=False, soft_wrap=True)
    if dry_run:
        return
    as_owners = platform is Platform.COMPOSE and os.geteuid() == 0
    try:
        write(folders, folder, as_owners=as_owners)
    except OSError as error:
        raise Trouble(f"{error.filename or folder}: {error.strerror}.") from error
    if platform is Platform.KUBERNETES:
        say("Now, for each of these folders: kubectl -n lastmetre create secret generic")
        say(f"  lastmetre-NAME --from-file={folder}/NAME")
    elif not as_owners:
        say("The files are yours: containers read them only if their users are mapped to you.")
