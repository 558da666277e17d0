"""The mail server is away: messages wait, none leaves, and somebody is called until they do."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from lastmetre.devstack import Stack
from lastmetre.devstack.ports import free_port
from tests.drills.drill import hurried, watched
from tests.faults.rig.mail import MailServer
from tests.support.city import City, inside

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

WAITING: Final = 11
"""The rule minds more than ten."""


@pytest.fixture(scope="module")
def mail() -> MailServer:
    """Not there yet."""
    return MailServer(free_port())


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, mail: MailServer) -> Iterator[Stack]:
    """It tries again at once."""
    told = {
        "NOTIFY_SMTP_HOST": "127.0.0.1",
        "NOTIFY_SMTP_PORT": str(mail.port),
        "NOTIFY_SMTP_STARTTLS": "false",
        "NOTIFY_RETRY_FIRST_SECONDS": "1",
        "NOTIFY_RETRY_LONGEST_SECONDS": "2",
    }
    with Stack(tmp_path_factory.mktemp("drill") / "home", environment=told) as running:
        yield running


async def test_no_message_leaves(city: City, mail: MailServer, tmp_path: Path) -> None:
    await city.import_network()
    rules = hurried(tmp_path, "NoMessageLeaves", **{"expr": ("15m", "30s"), "for": ("10m", "10s")})
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("NoMessageLeaves")
        reports = [
            {
                "source_id": f"mail-{uuid4()}",
                "text": "路灯不亮",
                "position": inside(0),
                "contact": {"email": f"reporter{number}@example.org"},
            }
            for number in range(WAITING)
        ]

        async def taken() -> bool:
            return (await city.post("app", reports)).status_code == 202

        await city.until(taken, "reports are taken")
        drill.begins()
        await drill.fires("NoMessageLeaves", "page", set())
        mail.start()
        try:
            drill.begins()
            await drill.resolves("NoMessageLeaves", "page")

            async def all_came() -> bool:
                return len(mail.came) >= WAITING

            await city.until(all_came, "what waited is sent")
        finally:
            mail.stop()
