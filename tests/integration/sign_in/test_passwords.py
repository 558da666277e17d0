"""Staff of a city without an identity provider: `lastmetre users`, passwords and codes."""

import base64
import json
import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from lastmetre.common.security.callers import SESSION_COOKIE
from lastmetre.devstack import Stack
from lastmetre.intake.adapters.passwords import code_of
from tests.integration.sign_in.conftest import STAFF_HOST, Browser
from tests.support.city import IntakeAlone
from tests.support.commands import attempt
from tests.support.databases import fresh_database

NOWHERE: Final = "postgresql://nobody:hidden@127.0.0.1:1/intake"

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def intake(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> IntakeAlone:
    """Without a provider, and with limits that one test alone reaches."""
    database = fresh_database(stack, "intake")
    folder = tmp_path_factory.mktemp("passwords")
    found = IntakeAlone(stack.endpoints.bootstrap_servers, database, folder)
    found.environment |= {
        "LASTMETRE_SIGN_IN_URL": STAFF_HOST,
        "INTAKE_SIGN_INS_PER_NAME": "5",
        "INTAKE_SIGN_INS_PER_CLIENT": "10000",
        "INTAKE_SIGN_INS_IN_ALL": "10000",
    }
    return found


@pytest_asyncio.fixture(loop_scope="module")
async def browser(started: IntakeAlone) -> AsyncIterator[Browser]:
    async with started.processes[0].client() as client:
        yield Browser(client, started)


async def users(city: IntakeAlone, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What the command's tool says."""
    process = await create_subprocess_exec(
        sys.executable, "-m", "lastmetre.intake.entrypoints.users", *arguments,
        env=os.environ | city.settings_of_a_process(), stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    out, error = await process.communicate()
    assert process.returncode == code, error.decode()
    document: dict[str, Any] = json.loads(out) if code == 0 else {"error": error.decode()}
    return document


class User:
    """Somebody with an authenticator. Each of his codes is of another time step, as time goes on
    for people; the database is told that the last one is long ago."""

    def __init__(self, city: IntakeAlone, given: dict[str, Any]) -> None:
        self.city = city
        self.name: str = given["subject"]
        self.password: str = given["password"]
        self.secret = base64.b32decode(given["code_secret"])

    def code(self) -> str:
        return code_of(self.secret, int(datetime.now(UTC).timestamp()) // 30)

    async def later(self) -> None:
        await self.city.execute("UPDATE staff_user SET last_step = 0 WHERE subject = $1", self.name)

    async def sign_in(self, browser: Browser, **changed: str) -> httpx.Response:
        form = {
            "subject": self.name, "password": self.password, "code": self.code(),
            "leads_to": "/centre",
        }  # fmt: skip
        return await browser.post("/sign-in/password", **(form | changed))


async def new_user(city: IntakeAlone, *roles: str) -> User:
    name = f"user-{uuid4().hex[:8]}"
    asked = [f"--role={role}" for role in roles or ("operator",)]
    return User(city, await users(city, "add", name, *asked))


async def test_a_user_signs_in_and_chooses_a_password(
    browser: Browser, started: IntakeAlone
) -> None:
    user = await new_user(started, "supervisor", "operator")
    page = await browser.get("/sign-in?next=/centre&lang=en")
    assert (page.status_code, 'action="/sign-in/password"' in page.text) == (200, True)
    arrived = await user.sign_in(browser)
    assert (arrived.status_code, arrived.headers["location"]) == (303, "/centre")
    assert browser.acting() == f"supervisor:{user.name}"

    chosen = "a few words of mine"
    change = {"password": user.password, "chosen": chosen, "again": chosen}
    before = browser.client.cookies[SESSION_COOKIE]
    assert (await browser.post("/sign-in/change-password", **change)).status_code == 303
    assert browser.client.cookies[SESSION_COOKIE] != before
    (listed,) = [
        each for each in (await users(started, "list"))["users"] if each["subject"] == user.name
    ]
    assert listed["roles"] == ["supervisor", "operator"]
    assert listed["first_password_ends"] is None

    await browser.post("/sign-out")
    await user.later()
    assert (await user.sign_in(browser)).status_code == 403
    user.password = chosen
    assert (await user.sign_in(browser)).status_code == 303
    kept = str(await started.fetch("SELECT * FROM staff_user"))
    assert user.password not in kept
    assert str(user.secret) not in kept


@pytest.mark.parametrize(
    "wrong",
    [{"password": "another"}, {"code": "000000"}, {"subject": "nobody"}],
    ids=["password", "code", "name"],
)
async def test_whoever_fails_is_not_told_at_what(
    browser: Browser, started: IntakeAlone, wrong: dict[str, str]
) -> None:
    user = await new_user(started)
    answer = await user.sign_in(browser, **wrong)
    assert answer.status_code == 403
    assert SESSION_COOKIE not in browser.client.cookies
    assert user.password not in answer.text
    other = await (await new_user(started)).sign_in(browser, password="x")

    def words(text: str) -> list[str]:
        return [line for line in text.splitlines() if 'id="f-subject"' not in line]

    assert words(answer.text) == words(other.text)


async def test_a_code_is_good_once(browser: Browser, started: IntakeAlone) -> None:
    user = await new_user(started)
    code = user.code()
    assert (await user.sign_in(browser, code=code)).status_code == 303
    assert (await user.sign_in(browser, code=code)).status_code == 403


async def test_tries_are_counted_before_anybody_looks(
    browser: Browser, started: IntakeAlone
) -> None:
    user = await new_user(started)
    for _ in range(5):
        assert (await user.sign_in(browser, password="guessed")).status_code == 403
    refused = await user.sign_in(browser)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "900")


async def test_nobody_signs_in_with_a_first_password_that_has_ended(
    browser: Browser, started: IntakeAlone
) -> None:
    user = await new_user(started)
    await started.execute(
        "UPDATE staff_user SET first_password_ends = now() WHERE subject = $1", user.name
    )
    assert (await user.sign_in(browser)).status_code == 403


@pytest.mark.parametrize("action", ["disable", "set-password", "reset-codes"])
async def test_what_an_administrator_does_ends_sessions_at_once(
    browser: Browser, started: IntakeAlone, action: str
) -> None:
    user = await new_user(started)
    await user.sign_in(browser)
    tried = await users(started, action, user.name, "--dry-run")
    assert (tried["sessions"], tried["password"], tried["code_secret"]) == (1, None, None)
    assert (await browser.post("/sign-in/renew")).status_code == 204
    done = await users(started, action, user.name)
    assert done["sessions"] == 1
    assert (await browser.post("/sign-in/renew")).status_code == 401
    await user.later()
    assert (await user.sign_in(browser)).status_code == 403
    if action == "disable":
        await users(started, "enable", user.name)
    user.password = done["password"] or user.password
    if done["code_secret"]:
        user.secret = base64.b32decode(done["code_secret"])
    await user.later()
    assert (await user.sign_in(browser)).status_code == 303


async def test_a_password_has_to_be_one(browser: Browser, started: IntakeAlone) -> None:
    user = await new_user(started)
    assert (await browser.post("/sign-in/change-password")).status_code == 401
    assert (await browser.get("/sign-in/change-password")).headers["location"] == "/sign-in"
    await user.sign_in(browser)
    good = "a few words of mine"
    for password, chosen, again in (
        ("another", good, good),
        (user.password, good, "other words"),
        (user.password, "short", "short"),
        (user.password, f"I am {user.name}", f"I am {user.name}"),
    ):
        form = {"password": password, "chosen": chosen, "again": again}
        answer = await browser.post("/sign-in/change-password", **form)
        assert answer.status_code == 422, (password, chosen)
        assert user.password not in answer.text
    assert (await browser.post("/sign-in/renew")).status_code == 204


# --- the command, as people call it


async def command(city: IntakeAlone, *words: str, **changed: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `lastmetre users`."""
    return await attempt(None, "users", *words, **(city.settings_of_a_process() | changed))


def printed(said: str, name: str) -> str:
    """What stands behind `name:` on a line of its own."""
    (line,) = [each for each in said.splitlines() if each.startswith(f"{name}: ")]
    return line.removeprefix(f"{name}: ")


async def test_somebody_signs_in_with_what_the_command_has_printed(
    browser: Browser, started: IntakeAlone
) -> None:
    name = f"li.min-{uuid4().hex[:8]}"
    asked = ("add", name, "--role", "operator")
    code, said, told = await command(started, *asked, "--dry-run")
    assert (code, said, f"{name} could be added" in told) == (0, "", True), told
    code, said, told = await command(started, *asked)
    assert (code, f"{name} is added" in told) == (0, True), told
    given = {"password": printed(said, "password"), "code_secret": printed(said, "codes")}
    assert f"secret={given['code_secret']}" in said  # the address for his authenticator
    user = User(started, given | {"subject": name})
    assert (await user.sign_in(browser)).status_code == 303
    assert browser.acting() == f"operator:{name}"

    lead = ("set-roles", name, "--role", "lead", "--lead-id", "L018", "--role", "supervisor")
    code, _, told = await command(started, *lead, "--dry-run")
    assert (code, "would be ended: 1" in told) == (0, True), told
    assert (await browser.post("/sign-in/renew")).status_code == 204
    code, _, told = await command(started, *lead)
    assert (code, "ended: 1" in told) == (0, True), told
    assert (await browser.post("/sign-in/renew")).status_code == 401
    await user.later()
    assert (await user.sign_in(browser)).status_code == 303
    assert browser.acting() == "lead:L018"

    code, said, _ = await command(started, "set-password", name)
    assert code == 0
    old, user.password = user.password, printed(said, "password")
    await user.later()
    assert (await user.sign_in(browser, password=old)).status_code == 403
    assert (await user.sign_in(browser)).status_code == 303

    code, _, told = await command(started, "disable", name)
    assert (code, "ended: 1" in told) == (0, True), told
    code, said, _ = await command(started, "list")
    assert code == 0
    assert "lead, supervisor (L018), disabled" in printed(said, name)


async def test_the_command_says_what_is_wrong_and_what_to_do(started: IntakeAlone) -> None:
    user = await new_user(started)
    before = await started.fetch("SELECT * FROM staff_user ORDER BY subject")
    operator = ("--role", "operator")
    attempts: list[tuple[tuple[str, ...], dict[str, str], int, list[str]]] = [
        (("add", user.name, *operator), {}, 1, ["already", "set-roles", "set-password"]),
        (("add", user.name, *operator, "--dry-run"), {}, 1, ["already"]),
        (("disable", "nobody-at-all"), {}, 1, ["no user nobody-at-all", "users list"]),
        (("set-roles", "nobody-at-all", *operator), {}, 1, ["no user nobody-at-all"]),
        (("add", "x", "--role", "chief"), {}, 2, ["chief", "lead", "supervisor"]),
        (("add", "x"), {}, 2, ["--role"]),
        (("add", "x", "--role", "lead"), {}, 2, ["--lead-id L017"]),
        (("add", "x\n", *operator), {}, 2, ["control character"]),
        # Nobody chooses a password for others, weak or not: what is printed was drawn.
        (("add", "x", *operator, "--password", "123456"), {}, 2, ["--password"]),
        (("list",), {"INTAKE_VAULT_KEY": ""}, 2, ["INTAKE_VAULT_KEY is not set"]),
        (("list",), {"INTAKE_DATABASE_URL": NOWHERE}, 1, ["intake's database", "lastmetre status"]),
    ]
    for words, changed, code, expected in attempts:
        ended, said, told = await command(started, *words, **changed)
        assert (ended, said) == (code, ""), (words, told)
        plain = " ".join(told.replace("│", " ").split())
        assert all(each in plain for each in expected), (words, plain)
        assert "Traceback" not in told
        assert "hidden" not in told, words
    assert await started.fetch("SELECT * FROM staff_user ORDER BY subject") == before


@pytest.mark.parametrize(
    "wrong",
    [
        ["add", "x"],
        ["set-roles", "x"],
        ["add", "x", "--role=lead"],
        ["add", "x", "--role=operator", "--lead-id=L1"],
        ["add", "x\n", "--role=operator"],
        ["list", "x"],
        ["disable"],
    ],
)
async def test_what_makes_no_sense_is_refused(started: IntakeAlone, wrong: list[str]) -> None:
    await users(started, *wrong, code=2)
