"""What `lastmetre doctor` says of disks, clocks, certificates, secrets and rights, each alone."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from lastmetre.cli.doctor.addresses import say_certificate
from lastmetre.cli.doctor.clocks import say_clock
from lastmetre.cli.doctor.command import Check
from lastmetre.cli.doctor.disks import say_disk
from lastmetre.cli.doctor.findings import Findings, Level, document
from lastmetre.cli.doctor.rights import allowing, consequence
from lastmetre.cli.doctor.secret_checks import look_at_secrets
from lastmetre.cli.profile import Installation
from lastmetre.cli.secret_files import Platform, secret_folders, write
from lastmetre.common.contracts.rights import Right, rights
from lastmetre.common.kafka.rights_view import may

GIGABYTE = 1_000_000_000
Say = Callable[[Findings], None]


@pytest.mark.parametrize(
    ("say", "level"),
    [
        (lambda said: say_disk("d", 15 * GIGABYTE, 100 * GIGABYTE, said), Level.FINE),
        (lambda said: say_disk("d", 14 * GIGABYTE, 100 * GIGABYTE, said), Level.WARNING),
        (lambda said: say_disk("d", 4 * GIGABYTE, 100 * GIGABYTE, said), Level.WRONG),
        (lambda said: say_clock("c", 1.9, said), Level.FINE),
        (lambda said: say_clock("c", -2.1, said), Level.WARNING),
        (lambda said: say_clock("c", -61, said), Level.WRONG),
        (lambda said: say_certificate("u", timedelta(days=14), said), Level.FINE),
        (lambda said: say_certificate("u", timedelta(days=13), said), Level.WARNING),
        (lambda said: say_certificate("u", timedelta(days=2), said), Level.WRONG),
    ],
)
def test_what_is_near_its_end_is_said_before_it_is_too_late(say: Say, level: Level) -> None:
    said = Findings("any")
    say(said)
    assert [each.level for each in said.all] == [level]


def test_warnings_alone_are_fine() -> None:
    said = Findings("any")
    said.fine("one", "is")
    said.warn("code", "two", "is not", "means", "do")
    said.unknown("code", "three", "nobody knows", "do")
    assert document(said.all)["ok"] is True
    said.wrong("code", "four", "is not", "means", "do")
    assert document(said.all)["ok"] is False
    assert document(said.all)["counts"] == {"fine": 1, "unknown": 1, "warning": 1, "wrong": 1}


# --- secrets


@pytest.fixture(params=list(Platform))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    target = tmp_path / "secrets"
    counted = iter(range(1, 1000))
    write(
        secret_folders(request.param, lambda length: next(counted).to_bytes(length, "big")),
        target,
        as_owners=False,
    )
    return target


async def codes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    said = Findings("secrets")
    nothing = Installation((), folder, with_home=False)
    await look_at_secrets(nothing, said, folder=folder)
    shown = repr(said.all)
    for file in folder.glob("*/*_key"):
        assert not file.exists() or len(file.read_text()) < 5 or file.read_text() not in shown
    return {(each.code, each.subject.partition(" ")[0]) for each in said.all if each.code}


async def test_secrets_as_they_were_made_are_fine(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await codes(folder, monkeypatch) == set()


async def test_each_fault_of_secrets_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "keys-intake" / "vault_key").chmod(0o644)
    (folder / "keys-notify" / "service_key").unlink()
    (folder / "keys-notify" / "link_key").write_text("x" * 43)
    (folder / "keys-metrics" / "access_keys").write_text("other")
    (folder / "keys-dispatch" / "service_keys.json").write_text(json.dumps({"intake": ["0"]}))
    (folder / "database-intake" / "url").write_text("")
    assert await codes(folder, monkeypatch) == {
        ("secret-open", "keys-intake/vault_key"),
        ("secret-unreadable", "keys-notify/service_key"),
        ("keys-differ", "link_key"),
        ("keys-differ", "access_keys"),
        ("access-key-unknown", "metrics"),
        ("service-key-unknown", "intake"),
        ("service-key-unknown", "dispatch"),
        ("service-key-unknown", "metrics"),
        ("secret-empty", "database-intake/url"),
    }


async def test_a_folder_of_secrets_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await codes(tmp_path / "none", monkeypatch) == {
        ("secrets-missing", str(tmp_path / "none"))
    }


# --- rights


def test_an_operation_may_come_along_with_another() -> None:
    """As Kafka's AclAuthorizer has it: read, write, delete and alter bring describe along."""
    assert may("Describe", frozenset({"Write"}))
    assert may("DescribeConfigs", frozenset({"AlterConfigs"}))
    assert not may("Describe", frozenset({"DescribeConfigs"}))
    assert not may("Write", frozenset({"Read", "Describe"}))


def test_every_right_says_what_is_lost_without_it_and_how_it_is_given() -> None:
    for principal, wanted in rights().items():
        for right in wanted:
            assert consequence(principal, right), right
            command = allowing(f"lastmetre-{principal}", right, "city.")
            assert f"--operation {right.operation} " in command
    assert allowing("u", Right("group", "intake.channels", "Read"), "city.").startswith(
        "kafka-acls.sh --add --allow-principal User:u --operation Read --group city.intake."
        " --resource-pattern-type prefixed"
    )


def test_every_check_is_in_the_operators_page() -> None:
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text("utf-8")
    for check in Check:
        assert f"| `{check.value}` |" in page
