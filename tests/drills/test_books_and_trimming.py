"""Books that do not balance, and personal data that stay in the topics: somebody is called."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final
from uuid import uuid4

import pytest

from lastmetre.devstack import Stack
from tests.drills.drill import hurried, watched
from tests.support.city import City
from tests.support.commands import attempt
from tests.support.holding import holding
from tests.support.prometheus import textfile

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TWICE: Final = """
    INSERT INTO later_record SELECT topic, partition, "offset", appended_at, report_id, 'repeated',
        NULL FROM report LIMIT 1
"""
HELD: Final = """
    SET LOCAL idle_in_transaction_session_timeout = 0;
    LOCK TABLE trimmed IN ACCESS EXCLUSIVE MODE
"""
"""For longer than anybody of ours may."""
ONCE: Final = "DELETE FROM later_record WHERE outcome = 'repeated'"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With databases of its own, which may be spoilt; it trims every second."""
    home = tmp_path_factory.mktemp("drill") / "home"
    with Stack(home, environment={"INTAKE_TRIM_EVERY_SECONDS": "1"}) as running:
        yield running


async def test_books_that_do_not_balance(stack: Stack, city: City, tmp_path: Path) -> None:
    """A record that counts twice, until it does not any more; the audit says so to Prometheus."""
    await city.import_network()
    await city.new_case(f"books-{uuid4()}")
    verdict = tmp_path / "audit.prom"

    async def audited() -> int:
        code, said, complained = await attempt(stack, "audit", "--full", "--metrics-file", verdict)
        assert verdict.exists(), said + complained
        return code

    assert await audited() == 0
    intake = await city.database("intake")
    with textfile(verdict) as node:
        async with watched(city, tmp_path, others=[node]) as drill:
            await drill.is_quiet("BooksUnbalanced")
            await intake.execute(TWICE)
            drill.begins()
            assert await audited() == 1
            await drill.fires("BooksUnbalanced", "page", set())
            await intake.execute(ONCE)
            drill.begins()
            assert await audited() == 0
            await drill.resolves("BooksUnbalanced", "page")


async def test_personal_data_that_are_not_trimmed(city: City, tmp_path: Path) -> None:
    """Somebody holds the table that trimming begins with: it fails each time, as long as that."""
    rules = hurried(tmp_path, "ChannelsNotTrimmed", expr=("6 * 3600", "20"))
    async with watched(city, tmp_path, rules) as drill:
        await drill.is_quiet("ChannelsNotTrimmed")
        async with holding(city, "intake", HELD):
            await drill.fires("ChannelsNotTrimmed", "page", set())
            drill.begins()
        await drill.resolves("ChannelsNotTrimmed", "page")
