"""`lastmetre rotate`: keys are replaced without breaking what was made with the old ones."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly, print_document, say
from lastmetre.cli.profile import installation
from lastmetre.cli.service_tool import run_tool
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.keys import key_id

app = typer.Typer(help="Replaces keys; docs/security.md says in which steps.", no_args_is_help=True)

Settings = dict[str, str]
MakeKey = Callable[[], str]


class Key(StrEnum):
    """A key that all processes of a kind share."""

    LINK = "link"
    TOKEN = "token"  # noqa: S105 - a name
    VAULT = "vault"


NAMES: Final[Mapping[Key, tuple[str, str, str | None]]] = {
    Key.LINK: ("LASTMETRE_LINK_KEY", "LASTMETRE_LINK_OLD_KEYS", "LASTMETRE_IDENTITY_KEY"),
    Key.TOKEN: ("LASTMETRE_TOKEN_KEY", "LASTMETRE_TOKEN_OLD_KEYS", None),
    Key.VAULT: ("INTAKE_VAULT_KEY", "INTAKE_VAULT_OLD_KEYS", "INTAKE_FINGERPRINT_KEY"),
}
"""The settings of the key, of old ones, and of the first one where something is told by it."""


def replaced(key: Key, told: Mapping[str, str], make: MakeKey) -> Settings:
    """The settings after a key was replaced, from what intake is told. Raises UsedWrongly."""
    name, old_name, first_name = NAMES[key]
    present = _value(told, name)
    if not present:
        raise UsedWrongly(f"{name} is not known here.", f"set it, or {name}_FILE.")
    settings = {name: make(), old_name: f"{present} {_value(told, old_name)}".strip()}
    if first_name:
        settings[first_name] = _value(told, first_name) or present
    return settings


def service_replaced(service: str, told: Mapping[str, str], make: MakeKey) -> Settings:
    """The settings while a service's key is replaced: all know the old one and the new one."""
    known: dict[str, Any] = json.loads(_value(told, "LASTMETRE_SERVICE_KEYS") or "{}")
    new, before = make(), known.get(service, [])
    known[service] = [key_digest(new), *([before] if isinstance(before, str) else before)]
    return {
        f"{service.upper()}_SERVICE_KEY": new,
        "LASTMETRE_SERVICE_KEYS": json.dumps(known, sort_keys=True),
    }


def _value(told: Mapping[str, str], name: str) -> str:
    if (value := told.get(name)) is not None:
        return value.strip()
    file = told.get(f"{name}_FILE")
    return Path(file).read_text("utf-8").strip() if file else ""


def new_key() -> str:
    """32 random bytes, base64url."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode("ascii")


def named(text: str) -> str:
    """What a key is called; the key is not shown."""
    return key_id(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))[:32]).hex()


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say which keys there are, make none.")]


@app.command("key")
def key(
    which: Annotated[Key, typer.Argument(help="The key to be replaced.")], dry_run: DryRun = False
) -> None:
    """Print the settings with a new key, the present one among the old ones.

    Links, tokens and rows of the old key still open. Give the new one to all processes as one of
    the old keys first, then in its place. After a vault key: `lastmetre rotate vault`.

    Examples:

        lastmetre rotate key link --dry-run
        lastmetre rotate key vault > settings
    """
    told = installation().environment_of("intake")
    settings = replaced(which, told, new_key)
    name, old_name, first_name = NAMES[which]
    if not dry_run:
        _print(settings)
        return
    say(f"{name}: {named(settings[old_name].split()[0])} now")
    for each in settings[old_name].split()[1:]:
        say(f"{old_name}: {named(each)}")
    if first_name:
        say(f"{first_name}: {named(settings[first_name])}")


@app.command("service")
def service(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help=f"One of {', '.join(SERVICES)}.")],
    dry_run: DryRun = False,
) -> None:
    """Print the settings with a new key of a service, which all know beside its present one.

    Give LASTMETRE_SERVICE_KEYS to all processes first, then the new key to the service; then take
    the old SHA-256 away.

    Example:

        lastmetre rotate service notify
    """
    if name not in SERVICES:
        raise UsedWrongly(f"There is no service {name!r}.", f"it is one of {', '.join(SERVICES)}.")
    settings = service_replaced(name, installation().environment_of("intake"), new_key)
    if dry_run:
        known = json.loads(settings["LASTMETRE_SERVICE_KEYS"])[name]
        say(f"{name}: {', '.join(digest[:8] for digest in known[1:]) or 'none'} now")
    else:
        _print(settings)


def _print(settings: Settings) -> None:
    for name, value in settings.items():
        STDOUT.print(f"{name}={value}", markup=False, highlight=False, soft_wrap=True)
    say("Keys are shown this once: keep them where the services read them, and nowhere else.")


@app.command("vault")
def vault(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, change nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Seal everything in intake's database with the present vault key.

    For after the key was replaced: then the old ones are needed for backups alone. Intake may run,
    and it can be repeated. Exits with 1 if something still needs an old key, or cannot be opened.

    Examples:

        lastmetre rotate vault --dry-run
        lastmetre rotate vault
    """
    document = run_tool("intake", "reseal", "sealing anew", ["--dry-run"] if dry_run else [])
    if as_json:
        print_document(document)
    else:
        for name, each in document["columns"].items():
            will = "to be sealed anew" if dry_run else "sealed anew"
            say(
                f"{name}: {each['values']:,} values, {each['sealed_anew']:,} {will},"
                f" {each['changed_meanwhile']:,} changed meanwhile, {each['damaged']:,} damaged"
            )
    if any(each["damaged"] for each in document["columns"].values()):
        raise Trouble(
            "Some rows cannot be opened.",
            "either a key is missing in INTAKE_VAULT_OLD_KEYS, or they come back from a backup.",
        )
    if not document["ok"]:
        raise Trouble("Some rows were changed meanwhile.", "run it again.")
