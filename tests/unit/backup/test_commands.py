"""`lastmetre backup` as a person uses it: what it refuses, and what it says instead."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lastmetre.cli.backup.sealing import read_identity
from lastmetre.cli.main import app
from tests.unit.backup.server import Server


def backup(*words: str | Path, **environment: str) -> Result:
    environment.setdefault("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    return CliRunner().invoke(app, ["backup", *map(str, words)], env=environment)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


def test_a_key_is_made_once_and_says_its_public_one(tmp_path: Path) -> None:
    file = tmp_path / "identity"
    made = backup("key", file)
    assert made.exit_code == 0
    assert made.output.strip() == str(read_identity(file).to_public())
    assert made.output.startswith("age1")
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_bytes()
    again = backup("key", file)
    assert again.exit_code == 1
    assert "name a file that is not there yet" in again.output
    assert file.read_bytes() == before


def test_the_list_names_what_each_holds(server: Server) -> None:
    assert "There is none" in backup("list", "--from", server.folder.root).output
    server.backup()
    said = backup("list", "--from", server.folder.root)
    assert said.output.startswith("2026-11-30T020000Z")
    assert "databases, topics, secrets" in said.output
    [document] = json.loads(backup("list", "--from", server.folder.root, "--json").output)
    assert document["kafka"]["partitions"]["channels.app-3"] == [5, 7]
    assert document["secrets"]["recipient"] == server.recipient


def test_an_old_backup_goes_only_without_a_dry_run(server: Server) -> None:
    for day in (1, 2, 3, 4):
        server.backup(server.begun_at(day))
    words = ("prune", "--from", server.folder.root, "--keep-least", "1", "--keep-days", "1")
    said = backup(*words, "--dry-run")
    assert "2020-01-01T020000Z goes" in said.output
    assert len(server.folder.names()) == 4
    assert backup(*words).exit_code == 0
    assert server.folder.names() == ["2020-01-04T020000Z"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--kafka-data is missing"),
        (("--without", "topics"), "--secrets is missing"),
        (("--without", "databases"), "topics or secrets can be left out"),
        (("--without", "topics", "--secrets", ".", "--recipient", "x"), "no public key of age"),
        (("--without", "topics", "--without", "secrets"), "POSTGRES_SUPERUSER_URL"),
    ],
)
def test_what_is_missing_is_named(server: Server, words: tuple[str, ...], said: str) -> None:
    refused = backup("make", "--to", server.folder.root, *words)
    assert refused.exit_code == 2
    assert said in refused.output.replace("\n", " ")
    assert server.folder.names() == []


def test_a_damaged_one_is_said_to_be(server: Server) -> None:
    server.backup()
    (server.folder.folder(None) / "secrets.age").write_bytes(b"")
    said = backup("verify", "--from", server.folder.root)
    assert said.exit_code == 1
    assert "is damaged" in said.output
    assert "secrets.age" in said.output
