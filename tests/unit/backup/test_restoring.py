"""`lastmetre restore` says what it replaces, replaces nothing unasked, and brings back all."""

import io
import tarfile
from pathlib import Path

import pyrage
import pytest
from typer.testing import CliRunner, Result

from lastmetre.cli.backup.sealing import new_identity, open_sealed, read_identity
from lastmetre.cli.console import Trouble
from lastmetre.cli.main import app
from tests.unit.backup.server import Server


@pytest.fixture
def server(tmp_path: Path) -> Server:
    made = Server(tmp_path / "server")
    made.backup()
    return made


def restore(server: Server, *words: str | Path) -> Result:
    return CliRunner().invoke(app, ["restore", "--from", str(server.folder.root), *map(str, words)])


def settings(data: Path) -> list[str]:
    return (data / "postgresql.auto.conf").read_text("utf-8").splitlines()


def test_everything_comes_back(server: Server, tmp_path: Path) -> None:
    data, kafka, secrets = tmp_path / "data", tmp_path / "topics", tmp_path / "keys"
    done = restore(
        server, "--postgresql", data, "--kafka", kafka, "--secrets", secrets,
        "--identity", server.identity,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (data / "base/5/1259").read_bytes() == b"rows"
    assert (data / "pg_notify").is_dir(), "PostgreSQL wants to find it"
    assert (data / "recovery.signal").exists()
    assert data.stat().st_mode & 0o777 == 0o700
    assert (data / "base/5/1259").stat().st_mode & 0o777 == 0o600
    assert settings(data) == [
        "shared_buffers = 1GB",
        f'restore_command = \'cp "{server.folder.archive}/%f" "%p"\'',
        "recovery_target = 'immediate'",
        "recovery_target_timeline = 'current'",
        "recovery_target_action = 'promote'",
    ]
    for name in ("case.events-0/00000000000000000002.log", "meta.properties"):
        assert (kafka / name).read_bytes() == (server.kafka / name).read_bytes()
    assert (secrets / "keys-intake/vault_key").read_text("utf-8") == "secret"


@pytest.mark.parametrize(
    ("until", "line"),
    [
        ((), None),
        (("--until", "end"), None),
        (("--until", "2026-11-30T12:00:00+08:00"),
         "recovery_target_time = '2026-11-30T04:00:00+00:00'"),
    ],
)  # fmt: skip
def test_databases_alone_follow_their_log(
    server: Server, tmp_path: Path, until: tuple[str, ...], line: str | None
) -> None:
    data = tmp_path / "data"
    assert restore(server, "--postgresql", data, "--archive", "/seen/log", *until).exit_code == 0
    assert settings(data) == [
        "shared_buffers = 1GB",
        'restore_command = \'cp "/seen/log/%f" "%p"\'',
        *([line] if line else []),
        "recovery_target_action = 'promote'",
    ]


def test_a_dry_run_says_what_would_be_replaced(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "precious").write_text("rows", "utf-8")
    said = restore(server, "--postgresql", data, "--dry-run")
    assert said.exit_code == 0, said.output
    assert "1 files there are replaced" in said.output
    assert [each.name for each in data.iterdir()] == ["precious"]


def test_nothing_is_replaced_unasked(server: Server, tmp_path: Path) -> None:
    kafka = tmp_path / "topics"
    kafka.mkdir()
    (kafka / "precious").touch()
    refused = restore(server, "--kafka", kafka)
    assert refused.exit_code == 1
    assert "not empty" in refused.output
    assert (kafka / "precious").exists()
    assert restore(server, "--kafka", kafka, "--replace").exit_code == 0
    assert not (kafka / "precious").exists()


def test_nothing_is_replaced_by_a_damaged_backup(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "precious").touch()
    (server.folder.folder(None) / "postgresql/base/5/1259").write_bytes(b"else")
    refused = restore(server, "--postgresql", data, "--replace")
    assert refused.exit_code == 1
    assert "base/5/1259" in refused.output
    assert (data / "precious").exists()


def test_a_server_that_runs_is_left_alone(server: Server, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "postmaster.pid").touch()
    refused = restore(server, "--postgresql", data, "--replace")
    assert refused.exit_code == 1
    assert "PostgreSQL runs in" in refused.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Nothing is named"),
        (("2026-01-01T000000Z", "--kafka", "x"), "There is no complete backup"),
        (("--postgresql", "x", "--until", "yesterday"), "neither backup nor end nor a time"),
        (("--postgresql", "x", "--until", "2026-11-30T12:00:00"), "has no zone"),
        (("--postgresql", "x", "--until", "2026-11-29T12:00:00Z"), "was begun later"),
        (("--secrets", "x"), "--identity"),
    ],
)
def test_used_wrongly(server: Server, words: tuple[str, ...], said: str) -> None:
    refused = restore(server, *words)
    assert refused.exit_code == 2
    assert said in refused.output


def test_another_key_opens_nothing(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(new_identity()[0], "utf-8")
    target = tmp_path / "keys"
    refused = restore(server, "--secrets", target, "--identity", other)
    assert refused.exit_code == 1
    assert "does not open" in refused.output
    assert not list(target.iterdir())


@pytest.mark.parametrize("name", ["../outside", "/outside", "link"])
def test_what_somebody_else_has_sealed_stays_inside(
    server: Server, tmp_path: Path, name: str
) -> None:
    """Whoever knows the public key can seal anything."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo(name)
        if name == "link":
            member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        archive.addfile(member, io.BytesIO())
    recipient = pyrage.x25519.Recipient.from_str(server.recipient)
    forged = tmp_path / "forged"
    forged.write_bytes(pyrage.encrypt(packed.getvalue(), [recipient]))
    target = tmp_path / "in" / "keys"
    target.mkdir(parents=True)
    with pytest.raises(Trouble, match="none of ours"):
        open_sealed(forged, read_identity(server.identity), target)
    assert [each.name for each in target.parent.iterdir()] == ["keys"]
    assert not list(target.iterdir())
