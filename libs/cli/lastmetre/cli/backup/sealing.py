"""Secrets in a backup: sealed in the format of age (https://age-encryption.org) for one recipient.

The machine that makes backups has the recipient's public key alone: it cannot open them again.
"""

import io
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import Final

import pyrage

from lastmetre.cli.console import Trouble, UsedWrongly

HEADER: Final = b"age-encryption.org/v1\n"


def new_identity() -> tuple[str, str]:
    """A key that opens what is sealed, and the public one of it, the recipient."""
    identity = pyrage.x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def check_recipient(recipient: str) -> None:
    """Raises UsedWrongly where it is none."""
    _recipient(recipient)


def _recipient(text: str) -> pyrage.x25519.Recipient:
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise UsedWrongly(
            f"{text!r} is no public key of age.",
            "`lastmetre backup key FILE` makes a key and says its public one, `age1…`.",
        ) from None


def seal(folder: Path, recipient: str, target: Path) -> list[str]:
    """Seal a folder with its owners and modes into one file; returns the names of its files."""
    public = _recipient(recipient)
    packed = io.BytesIO()
    try:
        with tarfile.open(fileobj=packed, mode="w") as archive:
            archive.add(folder, arcname="")
            names = [each.name for each in archive.getmembers() if each.isfile()]
    except OSError as error:
        raise Trouble(f"{error.filename or folder} cannot be read: {error.strerror}.") from None
    if not names:
        raise UsedWrongly(f"There are no secrets in {folder}.")
    target.touch(mode=0o600)
    target.write_bytes(pyrage.encrypt(packed.getvalue(), [public]))
    return sorted(names)


def read_identity(file: Path) -> pyrage.x25519.Identity:
    """The key in a file, as `age-keygen` writes it. Raises UsedWrongly."""
    try:
        lines = file.read_text("utf-8").split()
        [text] = [each for each in lines if each.startswith("AGE-SECRET-KEY-1")]
        return pyrage.x25519.Identity.from_str(text)
    except OSError as error:
        raise UsedWrongly(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, pyrage.IdentityError):
        raise UsedWrongly(
            f"{file} does not hold one key of age.", "a line of it begins with AGE-SECRET-KEY-1."
        ) from None


def open_sealed(sealed: Path, identity: pyrage.x25519.Identity, target: Path) -> None:
    """Write what was sealed into `target`, which is there. Raises Trouble."""
    try:
        packed = pyrage.decrypt(sealed.read_bytes(), [identity])
    except pyrage.DecryptError:
        raise Trouble(
            "This key does not open the secrets of this backup.",
            "the manifest names the recipient that they are sealed for.",
        ) from None
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        for member in archive:
            _write(archive, member, target)


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """One file or folder, below `target`: whoever knows the recipient can seal anything for it."""
    place = PurePosixPath(member.name)
    if place.is_absolute() or ".." in place.parts or not (member.isfile() or member.isdir()):
        raise Trouble(f"The sealed secrets hold {member.name!r}, which is none of ours.")
    written = target / place
    if member.isdir():
        written.mkdir(mode=0o700, exist_ok=True)
    else:
        content = archive.extractfile(member)
        assert content is not None
        written.touch(mode=0o600)
        written.write_bytes(content.read())
    written.chmod(member.mode & 0o777)
    if os.geteuid() == 0:
        os.chown(written, member.uid, member.gid)
