"""The `lastmetre` command on an installation that it knows by environment or profile only."""

import json
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lastmetre.cli.client import development_token
from lastmetre.common.contracts.topics import SERVICES
from lastmetre.common.security.callers import Role
from lastmetre.devstack import Stack
from tests.support.city import City
from tests.support.commands import attempt


@pytest.fixture
def settings(stack: Stack) -> dict[str, str]:
    """What an operator of the session's stack would be told: no key that signs tokens."""
    endpoints = stack.endpoints
    return {
        "KAFKA_BOOTSTRAP_SERVERS": endpoints.bootstrap_servers,
        **{f"{s.upper()}_URL": endpoints.services[s] for s in SERVICES},
        **{f"{s.upper()}_ADMIN_URL": endpoints.admin[s][0] for s in SERVICES},
        **{f"{s.upper()}_DATABASE_URL": endpoints.audit_databases[s] for s in SERVICES},
        "LASTMETRE_TOKEN": development_token(
            endpoints.token_key, Role.ADMINISTRATOR, "operations", None, timedelta(hours=1)
        ),
    }


async def document(stack: Stack, told: dict[str, str], *words: str | Path) -> dict[str, Any]:
    """What the command prints with --json, told nothing but that; it must end with 0."""
    code, said, complained = await attempt(stack, *words, "--json", **told)
    assert code == 0, complained
    found: dict[str, Any] = json.loads(said)
    return found


async def test_by_the_environment_alone(
    stack: Stack, city: City, settings: dict[str, str], tmp_path: Path
) -> None:
    await city.import_network()
    case_id = await city.new_case(f"environment-{uuid.uuid4()}")
    told = {**settings, "LASTMETRE_HOME": str(tmp_path)}
    status = await document(stack, told, "status")
    assert status["ready"]
    assert {each["name"] for each in status["services"]} == set(SERVICES)
    await document(stack, told, "dlq", "list")
    await document(stack, told, "topics", "describe", "--development")
    shown = await document(stack, told, "case", "show", str(case_id))
    assert shown["case_id"] == str(case_id)
    outbox = str(stack.home.outbox)
    assert (await document(stack, {**told, "NOTIFY_OUTBOX_DIRECTORY": outbox}, "audit"))["balanced"]


@pytest.mark.parametrize(
    ("service", "words"),
    [("metrics", ["metrics", "verify"]), ("dispatch", ["recover", "--dry-run"])],
)
async def test_a_services_tool_needs_its_database_and_the_broker_and_no_keys(
    stack: Stack, tmp_path: Path, service: str, words: list[str]
) -> None:
    told = {
        "KAFKA_BOOTSTRAP_SERVERS": stack.endpoints.bootstrap_servers,
        f"{service.upper()}_DATABASE_URL": stack.endpoints.databases[service],
    }
    assert (await document(stack, {**told, "LASTMETRE_HOME": str(tmp_path)}, *words))["ok"]


async def test_by_a_profile(stack: Stack, settings: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "token").write_text(settings.pop("LASTMETRE_TOKEN") + "\n", "utf-8")
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    table = "\n".join([*lines, 'LASTMETRE_TOKEN_FILE = "token"', ""])
    own = tmp_path / "city.toml"
    own.write_text(table, "utf-8")
    folder = tmp_path / "lastmetre"
    folder.mkdir()
    (folder / "profiles.toml").write_text(f"[city]\n{table}", "utf-8")
    (folder / "token").write_text((tmp_path / "token").read_text("utf-8"), "utf-8")
    nowhere = {"LASTMETRE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    await document(stack, nowhere, "--profile", own, "dlq", "list")
    await document(stack, nowhere, "--profile", "city", "status")
    await document(stack, {**nowhere, "LASTMETRE_PROFILE": "city"}, "dlq", "list")
    # The option says more than the environment, the environment more than the variable's profile.
    wrong = {**nowhere, "DISPATCH_ADMIN_URL": "http://127.0.0.1:1", "LASTMETRE_TOKEN": "wrong"}
    await document(stack, wrong, "--profile", own, "dlq", "list")
    code, _, said = await attempt(stack, "dlq", "list", "--service", "notify",
                                  **wrong, LASTMETRE_PROFILE="city")  # fmt: skip
    assert (code, "notify: 401" in said) == (1, True)


@pytest.mark.parametrize(
    ("words", "given", "missing"),
    [
        (["dlq", "list"], ["LASTMETRE_TOKEN"], "INTAKE_ADMIN_URL"),
        (["dlq", "list"], ["INTAKE_ADMIN_URL"], "LASTMETRE_TOKEN"),
        (["case", "show", "180101-0001"], ["LASTMETRE_TOKEN"], "DISPATCH_URL"),
        (["topics", "describe"], ["INTAKE_URL"], "KAFKA_BOOTSTRAP_SERVERS"),
        (["audit"], ["KAFKA_BOOTSTRAP_SERVERS"], "INTAKE_AUDIT_DATABASE_URL"),
        (["metrics", "verify"], ["KAFKA_BOOTSTRAP_SERVERS"], "METRICS_DATABASE_URL"),
        (["status"], [], "KAFKA_BOOTSTRAP_SERVERS"),
        (["--profile", "nobody", "status"], [], "profiles.toml"),
    ],
)
async def test_what_is_missing_is_named(
    stack: Stack,
    settings: dict[str, str],
    tmp_path: Path,
    words: list[str],
    given: list[str],
    missing: str,
) -> None:
    told = {name: settings[name] for name in given}
    nowhere = {"LASTMETRE_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    code, said, complained = await attempt(stack, *words, **nowhere, **told)
    assert (code, said) == (2, "")
    assert missing in complained
    if words[0] != "--profile":
        assert "--profile" in complained
        assert str(tmp_path) in complained
