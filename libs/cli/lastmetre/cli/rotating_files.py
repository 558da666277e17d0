"""Keys in the files of `lastmetre secrets make`, replaced step by step.

Several processes read them, and are not restarted at one moment: so a new key is known to all
before any uses it. Each step can be repeated; nothing is written before all is worked out.
"""

import base64
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Final

from lastmetre.cli.console import Trouble, UsedWrongly
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.access_tokens import public_key
from lastmetre.common.security.caller_keys import key_digest

LOG: Final = "rotations.jsonl"
NEXT: Final = ".next"
KNOWN: Final = "service_keys.json"
CHANNELS: Final = Path("keys-intake", "channel_keys.json")

MakeKey = Callable[[], str]
Name = Callable[[str], str]
Changes = dict[Path, str | None]
"""By path below the folder: the new text, or None where the file goes."""


class Step(StrEnum):
    """What is done with a key."""

    ADD = "add"
    """A new one is made, and known to all beside the present one."""
    USE = "use"
    """It takes the present one's place; that one is known still."""
    DROP = "drop"
    """Old ones are known no more."""


@dataclass(frozen=True)
class SharedKey:
    """A key that several services read, each in a folder of its own.

    `first` is the file of the one that the installation began with, by which something is told.
    """

    services: tuple[str, ...]
    file: str
    old: str
    first: str


SHARED: Final[Mapping[str, SharedKey]] = {
    "link": SharedKey(
        ("intake", "notify"), "link_key", "link_old_keys", "identity_key"
    ),
    "vault": SharedKey(
        ("intake",), "vault_key", "vault_old_keys", "fingerprint_key"
    ),
}  # fmt: skip


ACCESS: Final = "access"
ACCESS_KEY: Final = Path("keys-intake", "access_key")
ACCESS_KEYS: Final = "access_keys"
NEEDED_BY: Final[Mapping[str, str]] = {
    ACCESS: "access tokens that were signed by it, which end after minutes",
    "link": "receipts, progress pages and ratings in people's hands, which have no end",
    "vault": "rows until `lastmetre rotate vault` has ended with 0, and backups of before that",
}
ENDS_AFTER: Final[Mapping[str, timedelta]] = {ACCESS: timedelta(hours=1)}
"""So long after it was replaced nobody needs an old one; of others nobody can say that."""


class Folder:
    """The folder of all secrets."""

    def __init__(self, root: Path) -> None:
        """Raises UsedWrongly for what is no such folder."""
        self.root = root
        if not (root / "keys-intake").is_dir():
            raise UsedWrongly(
                f"{root} has no folder keys-intake.", "name the folder of `lastmetre secrets make`."
            )

    def text(self, path: Path) -> str:
        """What stands there; nothing without the file. Raises Trouble if it cannot be read."""
        try:
            return (self.root / path).read_text("utf-8").strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise Trouble(f"{self.root / path}: {error.strerror}.") from None

    def write(self, changes: Changes) -> None:
        """Each file whole or not at all, for the owner of its folder alone; files go last."""
        for path, text in sorted(changes.items(), key=lambda each: each[1] is None):
            target = self.root / path
            if text is None:
                target.unlink(missing_ok=True)
                continue
            owner = target.parent.stat()
            scratch = target.with_name(f".{target.name}.new")
            scratch.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(scratch, flags, 0o600), "w", encoding="utf-8") as opened:
                opened.write(text)
                opened.flush()
                os.fsync(opened.fileno())
            if os.geteuid() == 0:
                os.chown(scratch, owner.st_uid, owner.st_gid)
            scratch.replace(target)

    def note(self, at: datetime, key: str, step: Step, ids: list[str]) -> None:
        """Remember when what was done with which keys; they are named, not shown."""
        line = {"at": at.isoformat(), "key": key, "step": step.value, "ids": ids}
        path = self.root / LOG
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as log:
            log.write(json.dumps(line) + "\n")

    def replaced_at(self, key: str, name: str) -> datetime | None:
        """When the key of that id was replaced; None where nobody has noted it."""
        found = None
        for line in self.text(Path(LOG)).splitlines():
            noted = json.loads(line)
            if (noted["key"], noted["step"]) == (key, Step.USE) and name in noted["ids"]:
                found = datetime.fromisoformat(noted["at"])
        return found


def shared_step(
    folder: Folder, key: str, step: Step, make: MakeKey, dropped: Callable[[str], bool]
) -> Changes:
    """What a step changes. `dropped` says of an old key whether it goes. Raises UsedWrongly."""
    shared = SHARED[key]
    folders = [Path(f"keys-{service}") for service in shared.services]
    waiting = next(filter(None, (folder.text(each / (shared.file + NEXT)) for each in folders)), "")
    present, old = folder.text(folders[0] / shared.file), _old(folder, folders[0], shared)
    if not present:
        raise UsedWrongly(f"{folders[0] / shared.file} is empty or not there.")
    if step is Step.ADD:
        new = waiting or make()
        texts: dict[str, str | None] = {
            shared.file + NEXT: new,
            shared.old: _list([new, *old]),
        }
    elif step is Step.USE:
        if not waiting:
            raise UsedWrongly("There is no new key yet.", "`--step add`, and restart; then this.")
        # Half done already where it was interrupted: then the present one is the new one.
        before = [each for each in (present, *old) if each != waiting]
        texts = {shared.file: waiting, shared.old: _list(before), shared.file + NEXT: None}
        if not folder.text(folders[0] / shared.first):
            texts[shared.first] = before[0]
    else:
        if waiting:
            raise UsedWrongly("A new key waits to be used.", "`--step use` first.")
        texts = {shared.old: _list([each for each in old if not dropped(each)])}
    return {each / name: text for each in folders for name, text in texts.items()}


def _old(folder: Folder, where: Path, shared: SharedKey) -> list[str]:
    return folder.text(where / shared.old).split()


def _list(keys: list[str]) -> str:
    return " ".join(dict.fromkeys(keys))


def keys_of(folder: Folder, key: str) -> tuple[str, str, list[str]]:
    """The present one, one that waits or nothing, and those that are known beside them.

    Of the access key the public ones: the others hold nothing else of it.
    """
    if key == ACCESS:
        present, waiting = (
            public_part(folder.text(each)) for each in (ACCESS_KEY, _waiting(ACCESS_KEY))
        )
        known = folder.text(ACCESS_KEY.with_name(ACCESS_KEYS)).split()
        return present, waiting, [each for each in known if each not in (present, waiting)]
    shared = SHARED[key]
    where = Path(f"keys-{shared.services[0]}")
    waiting = folder.text(where / (shared.file + NEXT))
    old = [each for each in _old(folder, where, shared) if each != waiting]
    return folder.text(where / shared.file), waiting, old


def _waiting(path: Path) -> Path:
    return path.with_name(path.name + NEXT)


def public_part(key: str) -> str:
    """The public key of one that signs, both base64url; nothing of nothing."""
    if not key:
        return ""
    made = public_key(base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)))
    return base64.urlsafe_b64encode(made).decode("ascii")


def access_step(
    folder: Folder, step: Step, make: MakeKey, dropped: Callable[[str], bool]
) -> Changes:
    """The same of the key that signs staff's tokens, whose public part all services hold."""
    present, waiting, old = keys_of(folder, ACCESS)
    if not present:
        raise UsedWrongly(f"{ACCESS_KEY} is empty or not there.")
    if step is Step.ADD:
        new = folder.text(_waiting(ACCESS_KEY)) or make()
        return {_waiting(ACCESS_KEY): new, **_known_to_all([present, public_part(new), *old])}
    if step is Step.USE:
        if not waiting:
            raise UsedWrongly("There is no new key yet.", "`--step add`, and restart; then this.")
        return {ACCESS_KEY: folder.text(_waiting(ACCESS_KEY)), _waiting(ACCESS_KEY): None}
    if waiting:
        raise UsedWrongly("A new key waits to be used.", "`--step use` first.")
    return _known_to_all([present, *(each for each in old if not dropped(each))])


def _known_to_all(public_keys: list[str]) -> Changes:
    return {Path(f"keys-{each}", ACCESS_KEYS): _list(public_keys) for each in SERVICES}


# --- a service's own key


def _own_folder(service: str) -> Path:
    return Path(f"keys-{service}" if service in SERVICES else service)


def service_step(folder: Folder, service: str, step: Step, make: MakeKey) -> Changes:
    """The same of the key by which a service, or Prometheus, is known. Raises UsedWrongly."""
    own = _own_folder(service) / "service_key"
    present, waiting = folder.text(own), folder.text(_waiting(own))
    if not present:
        raise UsedWrongly(f"{own} is empty or not there.")
    if step is Step.ADD:
        new = waiting or make()
        return {
            _waiting(own): new,
            **dict(_known(folder, service, [key_digest(new), key_digest(present)])),
        }
    if step is Step.USE:
        if not waiting:
            raise UsedWrongly("There is no new key yet.", "`--step add`, and restart; then this.")
        return {own: waiting, _waiting(own): None}
    if waiting:
        raise UsedWrongly("A new key waits to be used.", "`--step use` first.")
    return dict(_known(folder, service, [key_digest(present)]))


def _known(folder: Folder, service: str, digests: list[str]) -> Iterator[tuple[Path, str]]:
    for each in SERVICES:
        path = Path(f"keys-{each}", KNOWN)
        known = json.loads(folder.text(path) or "{}")
        yield path, json.dumps({**known, service: list(dict.fromkeys(digests))}, sort_keys=True)


# --- a channel's key


def channel_step(
    folder: Folder, channel: str, sender: str, step: Step, make: MakeKey
) -> tuple[Changes, str]:
    """What changes, and the new key, which nobody keeps but its sender. Raises UsedWrongly."""
    entries = json.loads(folder.text(CHANNELS) or "[]")
    theirs = [each for each in entries if (each["channel"], each["sender"]) == (channel, sender)]
    if not theirs:
        raise UsedWrongly(
            f"{CHANNELS} knows no {sender!r} on {channel}.",
            "`lastmetre channel-key` makes a first.",
        )
    if step is Step.ADD:
        new = make()
        return {CHANNELS: json.dumps([*entries, {**theirs[-1], "sha256": key_digest(new)}])}, new
    if step is Step.USE:
        raise UsedWrongly("The sender uses the new key by sending it.", "`--step drop` afterwards.")
    if len(theirs) == 1:
        raise UsedWrongly("There is one key of that sender, and no old one.", "`--step add` first.")
    left = [each for each in entries if each not in theirs[:-1]]
    return {CHANNELS: json.dumps(left)}, ""
