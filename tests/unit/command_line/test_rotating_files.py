"""`lastmetre rotate … --secrets`: keys replaced in files, in three steps; all opens meanwhile."""

import base64
import json
import stat
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner, Result

from lastmetre.cli.main import app
from lastmetre.cli.rotating_files import Folder
from lastmetre.cli.secret_files import Platform, secret_folders, write
from lastmetre.common.security.signed_links import LinkPurpose, SignedLinks
from lastmetre.common.service.settings import LinkSettings
from lastmetre.intake.settings import IntakeSettings
from lastmetre.notify.settings import NotifySettings

SERVICES = ("intake", "dispatch", "notify", "metrics")


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    counted = iter(range(1, 1000))
    folder = tmp_path / "secrets"
    made = secret_folders(Platform.COMPOSE, lambda size: next(counted).to_bytes(size, "big"))
    write(made, folder, as_owners=False)
    return folder


def rotate(secrets: Path, *words: str, code: int = 0) -> Result:
    ended = CliRunner().invoke(app, ["rotate", *words, "--secrets", str(secrets)])
    assert ended.exit_code == code, ended.output
    return ended


def texts(secrets: Path) -> dict[str, str]:
    return {str(each.relative_to(secrets)): each.read_text() for each in secrets.rglob("*")
            if each.is_file() and each.name != "rotations.jsonl"}  # fmt: skip


def link_settings(secrets: Path, service: str, monkeypatch: pytest.MonkeyPatch) -> LinkSettings:
    """As compose.yaml tells that service."""
    keys = secrets / f"keys-{service}"
    told = {
        "LASTMETRE_ACCESS_KEYS_FILE": keys / "access_keys",
        "INTAKE_ACCESS_KEY_FILE": secrets / "keys-intake" / "access_key",
        "LASTMETRE_SERVICE_KEYS_FILE": keys / "service_keys.json",
        "LASTMETRE_LINK_KEY_FILE": keys / "link_key",
        "LASTMETRE_LINK_OLD_KEYS_FILE": keys / "link_old_keys",
        "LASTMETRE_IDENTITY_KEY_FILE": keys / "identity_key",
        "INTAKE_VAULT_KEY_FILE": keys / "vault_key",
        "INTAKE_VAULT_OLD_KEYS_FILE": keys / "vault_old_keys",
        "INTAKE_FINGERPRINT_KEY_FILE": keys / "fingerprint_key",
        "INTAKE_SERVICE_KEY": "x", "NOTIFY_SERVICE_KEY": "x",
        "INTAKE_DATABASE_URL": "postgresql://", "NOTIFY_DATABASE_URL": "postgresql://",
        "INTAKE_CHANNEL_KEYS_FILE": secrets / "keys-intake" / "channel_keys.json",
        "INTAKE_INTERNAL_URL": "http://intake", "KAFKA_BOOTSTRAP_SERVERS": "kafka:9092",
    }  # fmt: skip
    for name, value in told.items():
        monkeypatch.setenv(name, str(value))
    return IntakeSettings() if service == "intake" else NotifySettings()


def test_links_open_at_every_step_in_whatever_order_services_are_restarted(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every link that a service makes before or after a step is one that both open."""

    def links() -> list[SignedLinks]:
        return [link_settings(secrets, each, monkeypatch).links() for each in ("intake", "notify")]

    identity = links()[0].receipt_identity("desk", "app", "1")
    before = links()
    for step in ("add", "use"):
        rotate(secrets, "key", "link", "--step", step)
        after = links()
        for maker in (*before, *after):
            sealed = maker.seal(LinkPurpose.PROGRESS, b"identity 12.")
            assert all(each.open(LinkPurpose.PROGRESS, sealed) for each in (*before, *after)), step
        before = after
    assert links()[0].receipt_identity("desk", "app", "1") == identity
    assert links()[0].seal(LinkPurpose.PROGRESS, b"x") == links()[1].seal(
        LinkPurpose.PROGRESS, b"x"
    )


def test_an_old_key_of_links_is_dropped_only_if_somebody_insists(secrets: Path) -> None:
    first = (secrets / "keys-intake" / "link_key").read_text()
    for step in ("add", "use"):
        rotate(secrets, "key", "link", "--step", step)
    before = texts(secrets)
    assert "nobody can say" in rotate(secrets, "key", "link", "--step", "drop", code=1).output
    assert texts(secrets) == before
    rotate(secrets, "key", "link", "--step", "drop", "--at-once")
    for service in ("intake", "notify"):
        assert (secrets / f"keys-{service}" / "link_old_keys").read_text() == ""
        assert (secrets / f"keys-{service}" / "identity_key").read_text() == first


def public_keys(secrets: Path) -> set[str]:
    return {(secrets / f"keys-{each}" / "access_keys").read_text() for each in SERVICES}


def public(key: Path) -> str:
    """As RFC 8032 has it, by the library."""
    private = Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(key.read_text()))
    return base64.urlsafe_b64encode(private.public_key().public_bytes_raw()).decode()


def test_the_access_keys_public_part_is_known_to_all_before_it_signs(secrets: Path) -> None:
    key = secrets / "keys-intake" / "access_key"
    first = public(key)
    rotate(secrets, "key", "access", "--step", "add")
    second = public(key.with_name("access_key.next"))
    assert (public(key), public_keys(secrets)) == (first, {f"{first} {second}"})
    rotate(secrets, "key", "access", "--step", "use")
    assert (public(key), public_keys(secrets)) == (second, {f"{first} {second}"})
    assert "needed until" in rotate(secrets, "key", "access", "--step", "drop", code=1).output
    notes = secrets / "rotations.jsonl"
    lines = [json.loads(each) for each in notes.read_text().splitlines()]
    assert [(e["key"], e["step"]) for e in lines] == [("access", "add"), ("access", "use")]
    for minutes, code in ((59, 1), (61, 0)):
        lines[-1]["at"] = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()
        notes.write_text("\n".join(map(json.dumps, lines)) + "\n")
        rotate(secrets, "key", "access", "--step", "drop", code=code)
    assert public_keys(secrets) == {second}


def test_one_old_key_goes_by_its_id(secrets: Path) -> None:
    for _ in range(2):
        for step in ("add", "use"):
            rotate(secrets, "key", "vault", "--step", step)
    state = json.loads(rotate(secrets, "status", "--json").stdout)["vault"]
    newer, older = [each["id"] for each in state["old"]]
    rotate(secrets, "key", "vault", "--step", "drop", "--at-once", "--id", older)
    left = json.loads(rotate(secrets, "status", "--json").stdout)["vault"]
    assert [each["id"] for each in left["old"]] == [newer]
    assert left["present"] == state["present"]
    assert (
        "no old key"
        in rotate(secrets, "key", "vault", "--step", "drop", "--id", "none", code=2).output
    )


@pytest.mark.parametrize(
    "words",
    [
        ["key", "link", "--step", "add"],
        ["key", "vault", "--step", "add"],
        ["key", "access", "--step", "add"],
        ["service", "notify", "--step", "add"],
        ["service", "prometheus", "--step", "add"],
    ],
    ids=" ".join,
)
def test_a_dry_run_and_a_repeated_step_change_nothing_more(secrets: Path, words: list[str]) -> None:
    before = texts(secrets)
    said = rotate(secrets, *words, "--dry-run").output
    assert texts(secrets) == before
    assert "would write" in said
    rotate(secrets, *words)
    once = texts(secrets)
    assert once != before
    rotate(secrets, *words)
    assert texts(secrets) == once, "the key that waits is the same"
    rotate(secrets, *words[:-1], "use")
    used = texts(secrets)
    assert "no new key" in rotate(secrets, *words[:-1], "use", code=2).output
    assert texts(secrets) == used
    shown = said + rotate(secrets, "status").output
    assert not any(each in shown for each in used.values() if len(each) > 20)


def test_a_step_that_was_interrupted_is_ended_by_the_same_again(secrets: Path) -> None:
    rotate(secrets, "key", "link", "--step", "add")
    whole = texts(secrets)
    rotate(secrets, "key", "link", "--step", "use")
    used = texts(secrets)
    # Of notify nothing was written yet, and of intake the file that waits was not removed.
    for name in ("link_key", "link_old_keys", "link_key.next"):
        (secrets / "keys-notify" / name).write_text(whole[f"keys-notify/{name}"])
    (secrets / "keys-intake" / "link_key.next").write_text(whole["keys-intake/link_key.next"])
    rotate(secrets, "key", "link", "--step", "use")
    assert texts(secrets) == used


def known(secrets: Path, reader: str, caller: str) -> list[str]:
    found: list[str] = json.loads((secrets / f"keys-{reader}" / "service_keys.json").read_text())[
        caller
    ]
    return found


def digest(path: Path) -> str:
    return sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("caller", ["notify", "prometheus"])
def test_a_services_key_is_known_to_all_before_it_is_used(secrets: Path, caller: str) -> None:
    own = secrets / (f"keys-{caller}" if caller in SERVICES else caller) / "service_key"
    first = digest(own)
    rotate(secrets, "service", caller, "--step", "add")
    second = digest(own.with_name("service_key.next"))
    assert digest(own) == first != second
    assert all(set(known(secrets, each, caller)) == {first, second} for each in SERVICES)
    rotate(secrets, "service", caller, "--step", "drop", code=2)
    rotate(secrets, "service", caller, "--step", "use")
    assert digest(own) == second
    assert all(set(known(secrets, each, caller)) == {first, second} for each in SERVICES)
    rotate(secrets, "service", caller, "--step", "drop")
    assert all(known(secrets, each, caller) == [second] for each in SERVICES)
    others = {each: known(secrets, "intake", each) for each in SERVICES if each != caller}
    assert all(len(each) == 1 for each in others.values()), "nobody else's has changed"


def test_a_partners_key_is_shown_once_and_the_old_one_holds_until_it_is_dropped(
    secrets: Path,
) -> None:
    file = secrets / "keys-intake" / "channel_keys.json"
    entries: list[dict[str, object]] = [
        {"channel": "app", "sender": "city-app", "sha256": "0" * 64, "history": True},
        {"channel": "app", "sender": "other", "sha256": "1" * 64},
    ]
    file.write_text(json.dumps(entries))
    assert (
        "no 'stranger'"
        in rotate(secrets, "channel", "app", "stranger", "--step", "add", code=2).output
    )
    rotate(secrets, "channel", "app", "city-app", "--step", "drop", code=2)
    rotate(secrets, "channel", "app", "city-app", "--step", "add", "--dry-run")
    assert json.loads(file.read_text()) == entries
    key = rotate(secrets, "channel", "app", "city-app", "--step", "add").stdout.strip()
    new = {**entries[0], "sha256": sha256(key.encode()).hexdigest()}
    assert json.loads(file.read_text()) == [*entries, new]
    rotate(secrets, "channel", "app", "city-app", "--step", "drop")
    assert json.loads(file.read_text()) == [entries[1], new]


def test_files_stay_for_their_owner_alone(secrets: Path) -> None:
    rotate(secrets, "key", "link", "--step", "add")
    modes = {stat.S_IMODE(each.stat().st_mode) for each in secrets.rglob("*") if each.is_file()}
    assert modes == {0o600}


@pytest.mark.parametrize(
    ("words", "said"),
    [(["key", "link"], "needs a step"), (["service", "nobody", "--step", "add"], "no service")],
)
def test_what_is_missing_is_named(secrets: Path, words: list[str], said: str) -> None:
    assert said in rotate(secrets, *words, code=2).output


def test_a_folder_without_keys_is_none(tmp_path: Path) -> None:
    assert "keys-intake" in rotate(tmp_path, "status", code=2).output


def test_writing_keeps_the_former_text_until_the_new_one_is_whole(
    secrets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    before = texts(secrets)
    path = Path("keys-intake", "link_key")
    with pytest.raises(OSError, match="space"):
        Folder(secrets).write({path: "another"})
    monkeypatch.undo()
    assert {name: texts(secrets)[name] for name in before} == before
    Folder(secrets).write({path: "another"})
    assert (secrets / path).read_text() == "another"
