"""A backup is called complete once it is verified, and what is wrong with one is found."""

import itertools
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from lastmetre.cli.backup.kafka_copy import copy_topics, take_cut
from lastmetre.cli.backup.manifest import Kept, read_manifest
from lastmetre.cli.backup.verifying import verify
from lastmetre.cli.console import Trouble
from tests.unit.backup.server import BEGUN_AT, POSITION, Server, batch


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def flip(file: Path, at: int) -> None:
    content = bytearray(file.read_bytes())
    content[at] ^= 1
    file.write_bytes(content)


def test_what_it_holds(server: Server) -> None:
    made = server.backup()
    assert made.name == "2026-11-30T020000Z"
    assert made.read_positions == [POSITION]
    assert made.verified_at == BEGUN_AT + timedelta(minutes=10)
    assert (made.postgresql.version, made.postgresql.system_identifier) == ("18", 7)
    assert made.kafka is not None
    assert made.kafka.cluster_id == "abc"
    assert made.kafka.partitions == {
        "__cluster_metadata-0": Kept(0, 1),
        "case.events-0": Kept(0, 3),
        "channels.app-3": Kept(5, 7),
    }
    assert made.secrets is not None
    assert made.secrets.names == ["keys-intake/vault_key"]
    folder = server.folder.folder(None)
    assert read_manifest(folder) == made
    assert verify(folder, made) == []
    assert not server.folder.begun.exists()
    copied = {each.name for each in (folder / "kafka").rglob("*") if each.is_file()}
    assert not copied & {".lock", "recovery-point-offset-checkpoint"}
    assert not [name for name in copied if name.endswith(".index")], "a broker makes them anew"
    sealed = (folder / "secrets.age").read_bytes()
    assert sealed.startswith(b"age-encryption.org/v1\n")
    assert b"secret" not in sealed


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda f: flip(f / "kafka/case.events-0/00000000000000000002.log", 70), "case.events-0"),
        (lambda f: flip(f / "postgresql/base/5/1259", 0), "base/5/1259"),
        (lambda f: (f / "postgresql/pg_wal/000000010000000000000002").unlink(), "pg_wal"),
        (lambda f: (f / "secrets.age").write_bytes(b"open"), "secrets.age"),
        (lambda f: (f / "postgresql/base/5/more").write_bytes(b""), "too much"),
    ],
)
def test_a_damaged_one_is_found(server: Server, harm: Callable[[Path], None], named: str) -> None:
    made = server.backup()
    folder = server.folder.folder(None)
    harm(folder)
    assert any(named in each for each in verify(folder, made))


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        (lambda f: flip(f / "base/5/1259", 0), "is not what the server has sent"),
        (lambda f: (f / "pg_wal/000000010000000000000001").unlink(), "does not hold the log"),
        (lambda f: flip(f / "pg_wal/000000010000000000000002", 2 * 8192 + 9), "the log"),
        (lambda f: (f / "backup_manifest").unlink(), "no base backup"),
    ],
)
def test_a_bad_base_backup_is_not_called_complete(
    server: Server, harm: Callable[[Path], None], named: str
) -> None:
    harm(server.begin())
    with pytest.raises(Trouble) as refused:
        server.finish()
    assert named in refused.value.problem + refused.value.details
    assert server.folder.names() == []


def test_log_behind_what_the_backup_needs_is_not_looked_at(server: Server) -> None:
    """Of the last segment the server has not written all pages."""
    flip(server.begin() / "pg_wal/000000010000000000000002", 5 * 8192 + 9)
    made = server.finish()
    assert server.folder.names() == [made.name]


def test_a_damaged_topic_is_not_called_complete(server: Server) -> None:
    flip(server.kafka / "channels.app-3/00000000000000000005.log", 65)
    server.begin()
    with pytest.raises(Trouble) as refused:
        server.finish()
    assert "channels.app-3" in refused.value.details
    assert server.folder.names() == []


def test_what_was_being_written_at_the_cut_is_nobodys_yet(server: Server) -> None:
    server.write("channels.app-3/00000000000000000005.log", batch(5, "d") + batch(6, "e")[:40])
    made = server.backup()
    assert made.kafka is not None
    assert made.kafka.partitions["channels.app-3"] == Kept(5, 6)


def test_a_segment_in_the_middle_has_to_be_whole(server: Server) -> None:
    server.write("case.events-0/00000000000000000000.log", batch(0, "a", "b") + batch(2, "c")[:40])
    server.begin()
    with pytest.raises(Trouble) as refused:
        server.finish()
    assert "ends within a batch" in refused.value.details


def test_segments_that_have_not_changed_are_kept_once(server: Server) -> None:
    first = server.backup()
    server.write("channels.app-3/00000000000000000005.log", batch(5, "d", "e", "f"))
    second = server.backup(BEGUN_AT + timedelta(days=1))

    def inode(name: str, file: str) -> int:
        return (server.folder.complete / name / "kafka" / file).stat().st_ino

    old, new = first.name, second.name
    closed, grown = (
        "case.events-0/00000000000000000000.log",
        "channels.app-3/00000000000000000005.log",
    )
    assert inode(old, closed) == inode(new, closed)
    assert inode(old, grown) != inode(new, grown)
    assert second.kafka is not None
    assert second.kafka.partitions["channels.app-3"] == Kept(5, 8)


def test_a_segment_that_is_replaced_meanwhile_is_copied_again(
    server: Server, tmp_path: Path
) -> None:
    """As the cleaner of compacted topics does; the clock is asked again after the cut."""
    name, asked = "case.events-0/00000000000000000002.log", itertools.count()
    other = tmp_path / "cleaned"
    other.write_bytes(batch(2, "other"))

    def now() -> datetime:
        if next(asked) == 1:
            other.replace(server.kafka / name)
        return BEGUN_AT

    target = tmp_path / "copy"
    assert copy_topics(server.kafka, target, None, "", now) == BEGUN_AT
    assert (target / name).read_bytes() == batch(2, "other")


def test_a_cut_is_no_longer_than_a_moment(server: Server, tmp_path: Path) -> None:
    seconds = itertools.count(step=2)

    def slow() -> datetime:
        return BEGUN_AT + timedelta(seconds=next(seconds))

    with pytest.raises(Trouble, match="took more than 1 s"):
        copy_topics(server.kafka, tmp_path / "copy", None, "", slow)


def test_effects_are_noted_before_their_causes(server: Server) -> None:
    for topic in ("reports", "feedback", "notify.deliveries", "field.actions"):
        server.write(f"{topic}-0/00000000000000000000.log", batch(0, "x"))
    noted = [each.path.parent.name for each in take_cut(server.kafka, "", lambda: BEGUN_AT).files]
    order = [name for name, _ in itertools.groupby(noted) if name]
    assert order == [
        "notify.deliveries-0", "case.events-0", "feedback-0", "field.actions-0", "reports-0",
        "channels.app-3", "__cluster_metadata-0",
    ]  # fmt: skip


def test_what_was_not_finished_makes_room(server: Server) -> None:
    (server.begin() / "left").touch()
    made = server.backup(BEGUN_AT + timedelta(hours=1))
    assert server.folder.names() == [made.name]
    assert "postgresql/left" not in made.files


def test_two_at_once_are_refused(server: Server) -> None:
    with (
        server.folder.locked(),
        pytest.raises(Trouble, match="Another backup"),
        server.folder.locked(),
    ):
        pass
