"""What the channels hold goes only where a verified backup brings back what became of it."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from tests.integration.test_intake import report
from tests.support.city import IntakeAlone, ServiceProcess, eventually

pytestmark = pytest.mark.slow

LOOKED = "lastmetre_channels_trimmed_timestamp_seconds"
CONFIRMED = "lastmetre_backup_confirmed_timestamp_seconds"


def tool(city: IntakeAlone, *words: str) -> dict[str, Any]:
    """What `lastmetre backup` asks of intake."""
    done = run(
        [sys.executable, "-m", "lastmetre.intake.entrypoints.backup_mark", *words],
        env=city.settings_of_a_process(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


async def another_look(running: ServiceProcess) -> None:
    """A whole look of the trimmer's that has begun after now: the second one to end."""
    for _ in range(2):
        before = await running.figure(LOOKED)

        async def later(before: float = before) -> bool:
            return await running.figure(LOOKED) > before

        await eventually(later)


async def confirmed_again_and_again(city: IntakeAlone, times: int) -> None:
    """What is confirmed is confirmed anew, so many times, at any moment of a look."""
    tables = ("confirmed_backup", "confirmed_position")
    await city.execute("; ".join(f"CREATE TABLE kept_{each} AS TABLE {each}" for each in tables))
    for _ in range(times):
        await city.execute("; ".join(f"DELETE FROM {each}" for each in tables))
        await city.execute(
            "; ".join(f"INSERT INTO {each} SELECT * FROM kept_{each}" for each in tables)
        )


async def test_nothing_goes_before_a_backup_is_confirmed(
    intake_city: IntakeAlone, tmp_path: Path
) -> None:
    async with intake_city.running() as city:
        # So often that a look is under way whenever a backup is confirmed.
        running = await city.start(INTAKE_TRIM_AFTER_SECONDS="0", INTAKE_TRIM_EVERY_SECONDS="0.01")

        async def send(first: int, count: int) -> None:
            async with running.client() as client:
                answer = await client.post(
                    "/channels/app/reports",
                    json=[report(str(first + n)) for n in range(count)],
                    headers=city.credentials.channel("app"),
                )
                assert answer.status_code == 202
            await city.until_read()

        async def deleted() -> int:
            return sum((await city.earliest()).values())

        def confirm(name: str, begun_at: datetime, mark: dict[str, Any]) -> bool:
            file = tmp_path / name
            file.write_text(json.dumps({"name": name, "begun_at": str(begun_at), **mark}), "utf-8")
            return bool(tool(city, "--confirm", str(file))["confirmed"])

        await send(0, 30)
        in_backup = tool(city, "--read")
        await send(30, 20)
        await another_look(running)
        assert await deleted() == 0, "no backup has them"
        assert await running.figure("lastmetre_backup_awaited") == 1
        assert await running.figure(CONFIRMED) == 0

        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        assert confirm("long ago", long_ago, in_backup)
        await another_look(running)
        assert await running.figure(CONFIRMED) == long_ago.timestamp()
        await confirmed_again_and_again(city, 100)
        await another_look(running)
        assert await deleted() == 0, "at these offsets stood other records then"

        begun_at = datetime.now(UTC)
        assert confirm("first", begun_at, in_backup)

        async def thirty() -> bool:
            return await deleted() == 30

        await eventually(thirty)
        await another_look(running)
        assert await deleted() == 30, "the others were read after the backup was begun"

        later = tool(city, "--read")
        assert not confirm("older", begun_at - timedelta(seconds=1), later)
        await another_look(running)
        assert await deleted() == 30, "an older backup does not have them"

        of_another_topic = {
            "read_positions": [
                {**each, "topic_id": "00000000-0000-0000-0000-000000000001"}
                for each in later["read_positions"]
            ]
        }
        assert confirm("another", datetime.now(UTC), of_another_topic)
        await another_look(running)
        assert await deleted() == 30, "offsets of another topic say nothing of this one"
