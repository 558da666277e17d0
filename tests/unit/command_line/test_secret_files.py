"""`lastmetre secrets make`: every secret once, each for its reader alone."""

import base64
import hashlib
import json
import stat
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from typer.testing import CliRunner

from lastmetre.cli.client import ADMINISTRATOR, TOKEN_LIFETIME, access_token
from lastmetre.cli.console import UsedWrongly
from lastmetre.cli.databases import Login
from lastmetre.cli.main import app
from lastmetre.cli.secret_files import Folder, Platform, secret_folders, write
from lastmetre.common.security.access_tokens import AccessTokenReader
from lastmetre.common.security.callers import Via
from lastmetre.common.service.clock import RealClock

SERVICES = ("intake", "dispatch", "notify", "metrics")


def counted() -> Callable[[int], bytes]:
    """Random bytes that are none: every call gives others."""
    number = 0

    def next_bytes(length: int) -> bytes:
        nonlocal number
        number += 1
        return number.to_bytes(length, "big")

    return next_bytes


@pytest.fixture(params=list(Platform))
def folders(request: pytest.FixtureRequest) -> dict[str, Folder]:
    return secret_folders(request.param, counted())


def test_each_service_has_its_keys_and_no_others(folders: dict[str, Folder]) -> None:
    common = {"access_keys", "service_key", "service_keys.json"}
    links = {"link_key", "link_old_keys", "identity_key"}
    vault = {"vault_key", "vault_old_keys", "fingerprint_key"}
    assert {name: set(each.files) for name, each in folders.items() if name[:5] == "keys-"} == {
        "keys-intake": common | links | vault | {"access_key", "channel_keys.json"},
        "keys-dispatch": common,
        "keys-notify": common | links,
        "keys-metrics": common,
    }


def test_keys_have_32_bytes_and_are_shared_where_they_have_to_be(
    folders: dict[str, Folder],
) -> None:
    keys = {name: each.files for name, each in folders.items() if name[:5] == "keys-"}
    assert keys["keys-intake"]["link_key"] == keys["keys-notify"]["link_key"]
    access_keys = {files["access_keys"] for files in keys.values()}
    assert access_keys.isdisjoint({keys["keys-intake"]["access_key"]})
    (public,) = access_keys
    token = access_token(keys["keys-intake"]["access_key"], ADMINISTRATOR, TOKEN_LIFETIME)
    known = AccessTokenReader([base64.urlsafe_b64decode(public)], RealClock())
    assert known.read(token, Via.HEADER) is not None
    for name in ("access_key", "link_key", "vault_key"):
        assert len(base64.urlsafe_b64decode(keys["keys-intake"][name])) == 32
    own = [files["service_key"] for files in keys.values()]
    others = (keys["keys-intake"][each] for each in ("access_key", "link_key"))
    assert len({*own, *others}) == 6


def test_every_service_knows_the_others_by_the_digest_of_their_keys(
    folders: dict[str, Folder],
) -> None:
    known = json.loads(folders["keys-metrics"].files["service_keys.json"])
    plain = {name: folders[f"keys-{name}"].files["service_key"] for name in SERVICES}
    plain["prometheus"] = folders["prometheus"].files["service_key"]
    assert known == {
        name: [hashlib.sha256(key.encode()).hexdigest()] for name, key in plain.items()
    }


def test_a_url_names_the_role_and_password_beside_it(folders: dict[str, Folder]) -> None:
    for service in SERVICES:
        files = folders[f"database-{service}"].files
        found = Login.of(files["url"], "url")
        assert found == (files["username"], files["password"], service)
        assert parse_qs(urlsplit(files["url"]).query)["target_session_attrs"] == ["read-write"]
    audit = folders["database-audit"].files
    for service in SERVICES:
        assert Login.of(audit[service], service) == ("lastmetre_audit", audit["password"], service)
        asked = parse_qs(urlsplit(audit[service]).query)
        assert asked["default_transaction_read_only"] == ["on"]


def test_in_a_cluster_the_server_proves_who_it_is() -> None:
    for name, folder in secret_folders(Platform.KUBERNETES, counted()).items():
        for url in (each for each in folder.files.values() if each.startswith("postgresql:")):
            assert parse_qs(urlsplit(url).query)["sslmode"] == ["verify-full"], name


def test_in_a_cluster_every_secret_of_ours_is_one_that_the_pods_mount() -> None:
    base = Path(__file__).parents[3] / "deploy" / "kubernetes"
    text = "\n".join(file.read_text("utf-8") for file in base.rglob("*.yaml"))
    for name, folder in secret_folders(Platform.KUBERNETES, counted()).items():
        assert f"lastmetre-{name}" in text, name
        assert folder.files
    deployment = yaml.safe_load((base / "base" / "deployment.yaml").read_text("utf-8"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    named = {each["value"].rpartition("/")[2] for each in container["env"]}
    assert named == {"access_keys", "service_keys.json"}


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    target = tmp_path / "secrets"
    made = CliRunner().invoke(app, ["secrets", "make", "--platform", "kubernetes", str(target)])
    assert made.exit_code == 0, made.output
    modes = {stat.S_IMODE(each.stat().st_mode) for each in target.rglob("*") if each.is_file()}
    folders = {stat.S_IMODE(each.stat().st_mode) for each in target.rglob("*") if each.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})
    assert stat.S_IMODE(target.stat().st_mode) == 0o700
    for file in target.rglob("*/*"):
        if file.stat().st_size and file.name not in ("channel_keys.json", "username"):
            assert file.read_text("utf-8") not in made.output, "secrets are not printed"


def test_what_is_there_is_never_replaced(tmp_path: Path) -> None:
    first = secret_folders(Platform.COMPOSE, counted())
    target = tmp_path / "secrets"
    write(first, target, as_owners=False)
    with pytest.raises(FileExistsError):
        write(first, target, as_owners=False)
    kept = (target / "keys-intake" / "vault_key").read_text("utf-8")
    again = CliRunner().invoke(app, ["secrets", "make", str(target)])
    assert again.exit_code == 1
    assert (target / "keys-intake" / "vault_key").read_text("utf-8") == kept


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    target = tmp_path / "secrets"
    said = CliRunner().invoke(app, ["secrets", "make", "--dry-run", str(target)])
    assert said.exit_code == 0
    assert "keys-intake/vault_key" in said.output
    assert not target.exists()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://intake@db/intake",
        "postgresql://:secret-word@db/intake",
        "postgresql://intake:secret-word@db",
        "postgresql://in%22take:secret-word@db/intake",
    ],
)
def test_a_url_that_names_too_little_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsedWrongly) as refused:
        Login.of(url, "INTAKE_DATABASE_URL")
    assert "INTAKE_DATABASE_URL" in str(refused.value)
    assert "secret-word" not in str(refused.value)
