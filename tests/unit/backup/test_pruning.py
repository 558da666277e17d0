"""Old backups go, the youngest stay, and PostgreSQL's log from before them goes with the old."""

from datetime import timedelta
from pathlib import Path

import pytest

from lastmetre.cli.backup.manifest import Manifest
from lastmetre.cli.backup.pruning import log_before, too_old
from tests.unit.backup.server import BEGUN_AT, Server

DAYS = (0, 1, 2, 40)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """Of these days, the oldest first."""
    one = Server(tmp_path_factory.mktemp("server")).backup()
    begun = [BEGUN_AT + timedelta(days=day) for day in DAYS]
    return [one.model_copy(update={"begun_at": at, "name": str(at)}) for at in begun]


@pytest.mark.parametrize(
    ("after_days", "at_least", "leaving"),
    [
        (30, 1, []),
        (31, 1, [0]),
        (41, 1, [0, 1, 2]),
        (41, 3, [0]),
        (400, 4, []),
        (400, 1, [0, 1, 2]),
    ],
)
def test_which_are_too_old(
    made: list[Manifest], after_days: int, at_least: int, leaving: list[int]
) -> None:
    now = BEGUN_AT + timedelta(days=after_days)
    found = too_old(made, now, timedelta(days=30), at_least)
    assert [each.name for each in found] == [made[number].name for number in leaving]


def test_the_log_that_a_backup_needs_stays(tmp_path: Path) -> None:
    """It begins in segment 1."""
    server = Server(tmp_path)
    made = server.backup()
    names = {
        "000000010000000000000000": True,
        "000000020000000000000000": True,
        "000000010000000000000000.00000028.backup": True,
        "000000010000000000000001": False,
        "000000010000000000000002": False,
        "00000002.history": False,
        "somebody's": False,
    }
    for name in names:
        (server.folder.archive / name).touch()
    found = log_before(server.folder, made)
    assert {each.name for each in found} == {name for name, goes in names.items() if goes}
