"""`lastmetre rotate`: keys are replaced without breaking what was made with the old ones."""

import base64
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from lastmetre.cli.console import STDOUT, Trouble, UsedWrongly, print_document, say
from lastmetre.cli.profile import installation
from lastmetre.cli.rotating_files import (
    ENDS_AFTER,
    NEEDED_BY,
    SHARED,
    Changes,
    Folder,
    Step,
    access_step,
    channel_step,
    keys_of,
    service_step,
    shared_step,
)
from lastmetre.cli.secret_files import PROMETHEUS
from lastmetre.cli.service_tool import run_tool
from lastmetre.common.contracts.base import Channel
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.caller_keys import key_digest
from lastmetre.common.security.keys import key_id

app = typer.Typer(help="Replaces keys; docs/security.md says in which steps.", no_args_is_help=True)

CALLERS: Final = (*SERVICES, PROMETHEUS)
Settings = dict[str, str]
MakeKey = Callable[[], str]


class Key(StrEnum):
    """A key that all processes of a kind share."""

    LINK = "link"
    ACCESS = "access"
    TOKEN = "token"  # noqa: S105 - a name
    """Of development alone."""
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


DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")]
Secrets = Annotated[
    Path | None,
    typer.Option(help="The folder of `lastmetre secrets make`: keys are replaced in its files."),
]
StepOption = Annotated[
    Step | None, typer.Option(help="With --secrets: add, then use, and drop when its time is over.")
]
AtOnce = Annotated[
    bool, typer.Option("--at-once", help="Drop before an old key's end, as when it was stolen.")
]


@app.command("key")
def key(
    which: Annotated[Key, typer.Argument(help="The key to be replaced.")],
    secrets: Secrets = None,
    step: StepOption = None,
    key_id: Annotated[
        str | None, typer.Option("--id", help="Drop this old key alone, as `status` names it.")
    ] = None,
    at_once: AtOnce = False,
    dry_run: DryRun = False,
) -> None:
    """Replace a key that services share; links, tokens and rows of the old one still open.

    With --secrets, in three steps, each followed by a restart of its readers, one after the other:
    `add` makes a new key that all know, `use` puts it in its place, `drop` takes old ones away once
    nobody needs them. Without, the settings with a new key are printed, the present one among the
    old ones. After a vault key was used: `lastmetre rotate vault`.

    Examples:

        lastmetre rotate key link --secrets secrets --step add --dry-run
        lastmetre rotate key access --secrets secrets --step drop
        lastmetre rotate key vault > settings
    """
    if secrets:
        _shared_in_files(Folder(secrets), which, _chosen(step), key_id, at_once, dry_run)
        return
    if which is Key.ACCESS:
        raise UsedWrongly("The access key is replaced in files.", "name them by --secrets FOLDER.")
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


def _chosen(step: Step | None) -> Step:
    if step is None:
        raise UsedWrongly("--secrets needs a step.", "`--step add`, `--step use`, `--step drop`.")
    return step


def _shared_in_files(
    folder: Folder, which: Key, step: Step, key_id: str | None, at_once: bool, dry_run: bool
) -> None:
    if which is Key.TOKEN:
        raise UsedWrongly("The token key is for development, and stands in no file.")
    present, _, old = keys_of(folder, which)
    ids = [named(each) for each in old]
    if key_id and key_id not in ids:
        raise UsedWrongly(
            f"There is no old key {key_id!r}.", f"there are: {', '.join(ids) or 'none'}."
        )
    going = [each for each in ids if key_id in (None, each)]
    if step is Step.DROP and not at_once:
        _refuse_before_the_end(folder, which, going)

    def dropped(key: str) -> bool:
        return named(key) in going

    if which is Key.ACCESS:
        changes = access_step(folder, step, new_key, dropped)
        readers: Sequence[str] = ("intake",) if step is Step.USE else SERVICES
    else:
        changes = shared_step(folder, which, step, new_key, dropped)
        readers = SHARED[which].services
    noted: list[str] = {Step.ADD: [], Step.USE: [named(present)], Step.DROP: going}[step]
    _apply(folder, which, step, changes, noted, readers, dry_run=dry_run)
    if which is Key.VAULT and step is Step.USE:
        say("Then `lastmetre rotate vault` seals everything with it.")


def _refuse_before_the_end(folder: Folder, which: Key, going: list[str]) -> None:
    now = datetime.now(UTC)
    for each in going:
        end = _end(folder, which, each)
        if end is None or end > now:
            when = f"until {end:%Y-%m-%d %H:%M} UTC" if end else "and nobody can say for how long"
            raise Trouble(
                f"The old key {each} is needed {when}: {NEEDED_BY[which]}.",
                "leave it: it is in nobody's way; `--at-once` if it was stolen.",
            )


def _end(folder: Folder, which: Key, name: str) -> datetime | None:
    """When nobody needs an old key any more, if that is known."""
    since, after = folder.replaced_at(which, name), ENDS_AFTER.get(which)
    return since + after if since and after else None


def _apply(
    folder: Folder,
    name: str,
    step: Step,
    changes: Changes,
    ids: list[str],
    readers: Sequence[str],
    *,
    dry_run: bool,
) -> None:
    for path, text in sorted(changes.items()):
        verb = "remove" if text is None else "write"
        say(f"{'would ' if dry_run else ''}{verb} {folder.root / path}")
    if dry_run:
        return
    try:
        folder.write(changes)
        folder.note(datetime.now(UTC), name, step, ids)
    except OSError as error:
        raise Trouble(
            f"{error.filename}: {error.strerror}.", "put that right, and run the same again."
        ) from error
    say(f"Now restart, one after the other: {', '.join(readers)}.")


@app.command("status")
def status(
    secrets: Annotated[Path, typer.Option(help="The folder of `lastmetre secrets make`.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Which keys there are, by their ids: in use, waiting to be used, old ones and their end.

    Example:

        lastmetre rotate status --secrets secrets
    """
    folder = Folder(secrets)
    found = {which.value: _state(folder, which) for which in Key if which is not Key.TOKEN}
    if as_json:
        print_document(found)
        return
    for name, state in found.items():
        waits = f", {state['waiting']} waits to be used" if state["waiting"] else ""
        say(f"{name}: {state['present']} in use{waits}")
        for old in state["old"]:
            end = f"until {old['needed_until']}" if old["needed_until"] else "with no end known"
            say(f"  {old['id']} is known still, {end}: {NEEDED_BY[name]}")


def _state(folder: Folder, which: Key) -> dict[str, Any]:
    present, waiting, old_keys = keys_of(folder, which)
    old = []
    for each in map(named, old_keys):
        end = _end(folder, which, each)
        old.append({"id": each, "needed_until": end.isoformat() if end else None})
    return {
        "present": named(present),
        "waiting": named(waiting) if waiting else None,
        "old": old,
    }


@app.command("service")
def service(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help=f"One of {', '.join(CALLERS)}.")],
    secrets: Secrets = None,
    step: StepOption = None,
    dry_run: DryRun = False,
) -> None:
    """Replace the key by which a service, or Prometheus, is known to the services.

    With --secrets: `add`, restart all four services; `use`, restart the service itself; `drop`,
    restart all four. Without, the settings are printed: give LASTMETRE_SERVICE_KEYS to all
    processes first, then the new key to the service; then take the old SHA-256 away.

    Examples:

        lastmetre rotate service notify --secrets secrets --step add
        lastmetre rotate service notify
    """
    if name not in CALLERS:
        raise UsedWrongly(f"There is no service {name!r}.", f"it is one of {', '.join(CALLERS)}.")
    if secrets:
        folder, chosen = Folder(secrets), _chosen(step)
        changes = service_step(folder, name, chosen, new_key)
        readers = [name] if chosen is Step.USE else SERVICES
        _apply(folder, f"service {name}", chosen, changes, [], readers, dry_run=dry_run)
        return
    settings = service_replaced(name, installation().environment_of("intake"), new_key)
    if dry_run:
        known = json.loads(settings["LASTMETRE_SERVICE_KEYS"])[name]
        say(f"{name}: {', '.join(digest[:8] for digest in known[1:]) or 'none'} now")
    else:
        _print(settings)


@app.command("channel")
def channel(
    which: Annotated[Channel, typer.Argument(metavar="CHANNEL", help="What the key opens.")],
    sender: Annotated[str, typer.Argument(help="Whose key.")],
    secrets: Annotated[Path, typer.Option(help="The folder of `lastmetre secrets make`.")],
    step: Annotated[Step, typer.Option(help="add; and drop once the sender uses the new one.")],
    dry_run: DryRun = False,
) -> None:
    """Replace the key of a partner's channel: both are known until the old one is dropped.

    The new key is shown once, for its sender. Restart intake after each step.

    Examples:

        lastmetre rotate channel app city-app --secrets secrets --step add
        lastmetre rotate channel app city-app --secrets secrets --step drop --dry-run
    """
    folder = Folder(secrets)
    changes, new = channel_step(folder, which.value, sender, step, new_key)
    name = f"channel {which.value}/{sender}"
    _apply(folder, name, step, changes, [], ["intake"], dry_run=dry_run)
    if new and not dry_run:
        STDOUT.print(new, markup=False, soft_wrap=True)
        say("The key is shown this once: give it to its sender.")


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
