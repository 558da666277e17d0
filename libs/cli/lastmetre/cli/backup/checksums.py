"""Checksums of all files of a folder."""

from collections.abc import Iterable, Iterator
from hashlib import file_digest
from pathlib import Path

from lastmetre.cli.backup.manifest import FILE, FileEntry


def files_below(folder: Path) -> Iterator[Path]:
    """Every file, in order of names. A link is a mistake: it would lead out of the backup."""
    for each in sorted(folder.iterdir()):
        if each.is_dir() and not each.is_symlink():
            yield from files_below(each)
        else:
            yield each


def entries(folder: Path) -> dict[str, FileEntry]:
    """What lies in a backup, but its manifest. Raises OSError."""
    found = {}
    for path in files_below(folder):
        name = path.relative_to(folder).as_posix()
        if name != FILE:
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
                found[name] = FileEntry(size=file.tell(), sha256=digest)
    return found


def differences(
    told: dict[str, FileEntry], found: dict[str, FileEntry], *, ignored: Iterable[str] = ()
) -> list[str]:
    """What is missing, changed or too much, in words."""
    wrong = [f"{name} is missing" for name in told.keys() - found.keys()]
    wrong += [f"{name} is too much" for name in found.keys() - told.keys() - set(ignored)]
    wrong += [
        f"{name} is not what was written" for name in told.keys() & found.keys()
        if told[name] != found[name]
    ]  # fmt: skip
    return sorted(wrong)
