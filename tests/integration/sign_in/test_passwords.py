"""Staff of a city without an identity provider: `lastmetre users`, passwords and codes."""

import base64
import json
import os
import sys
from asyncio import create_subprocess_exec
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from lastmetre.common.security.callers import SESSION_COOKIE
from lastmetre.devstack import Stack
from lastmetre.intake.adapters.passwords import code_of
from tests.integration.sign_in.conftest import STAFF_HOST, Browser
from tests.support.city import IntakeAlone
from tests.support.databases import fresh_database

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


async def test_a_name_is_given_once(started: IntakeAlone) -> None:
    user = await new_user(started)
    again = await users(started, "add", user.name, "--role=lead", "--lead-id=L1", code=1)
    assert "already" in again["error"]
    assert "no user" in (await users(started, "disable", "nobody-at-all", code=1))["error"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["add", "x"],
        ["add", "x", "--role=lead"],
        ["add", "x", "--role=operator", "--lead-id=L1"],
        ["add", "x\n", "--role=operator"],
        ["list", "x"],
        ["disable"],
    ],
)
async def test_what_makes_no_sense_is_refused(started: IntakeAlone, wrong: list[str]) -> None:
    await users(started, *wrong, code=2)
