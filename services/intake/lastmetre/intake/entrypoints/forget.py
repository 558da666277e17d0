"""The tool `forget`: contacts and texts of reports are erased from the vault.

Of one report, as its reporter may ask (PIPL article 47), or of all that are at their end and older
than the city may keep them. May be repeated and interrupted, and intake may run. What backups and
the broker's last files hold ends with them.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID

import asyncpg

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.intake.adapters.postgres import erasing
from lastmetre.intake.settings import DatabaseSettings

if TYPE_CHECKING:
    from lastmetre.common.postgres.database import Connection

REPORTS_AT_ONCE: Final = 1000


@dataclass(slots=True)
class Forgotten:
    """What was erased, or would be."""

    dry_run: bool
    reports: int = 0
    dead_letters: int = 0
    dead_letters_waiting: int = 0
    """Older than wanted, and not replayed: they keep their bodies until a person has seen them."""


async def forget_one(connection: "Connection", report_id: UUID, *, dry_run: bool) -> Forgotten:
    """Erase what is personal of one report."""
    transaction = connection.transaction()
    await transaction.start()
    done = Forgotten(dry_run, reports=await erasing.forget(connection, [report_id]))
    await (transaction.rollback() if dry_run else transaction.commit())
    return done


async def forget_before(connection: "Connection", before: datetime, *, dry_run: bool) -> Forgotten:
    """Erase what is personal of all reports at their end that came before then."""
    done = Forgotten(dry_run)
    last: UUID | None = None
    while found := await erasing.kept_before(connection, before, last, REPORTS_AT_ONCE):
        last = found[-1]
        done.reports += len(found) if dry_run else await erasing.forget(connection, found)
    if not dry_run:
        done.dead_letters = await erasing.forget_letters(connection, before)
    done.dead_letters_waiting = await erasing.letters_waiting(connection, before)
    return done


async def _run(arguments: argparse.Namespace) -> Forgotten | None:
    settings = DatabaseSettings()
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        if arguments.older_than_days is not None:
            before = datetime.now(UTC) - timedelta(days=arguments.older_than_days)
            return await forget_before(connection, before, dry_run=arguments.dry_run)
        report_id: UUID | None = arguments.report
        if report_id is None:
            number = read_case_number(arguments.number) or ""
            report_id = await erasing.report_numbered(connection, number)
        if report_id is None:
            return None
        return await forget_one(connection, report_id, dry_run=arguments.dry_run)
    finally:
        await connection.close()


def main() -> int:
    """Exit code: 0 done, 1 there is no such report or it cannot be done, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.intake.entrypoints.forget",
        description=(__doc__ or "").split("\n", 1)[0],
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--report", type=UUID, metavar="ID")
    which.add_argument("--number", help="the case's number")
    which.add_argument("--older-than-days", type=int, metavar="DAYS")
    parser.add_argument("--dry-run", action="store_true", help="count only, erase nothing")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    arguments = parser.parse_args()
    try:
        done = asyncio.run(_run(arguments))
    except DATABASE_ERRORS as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    if done is None:
        sys.stderr.write("there is no case with that number\n")
        return 1
    document = asdict(done)
    said = "".join(f"{name}: {value}\n" for name, value in document.items())
    sys.stdout.write(json.dumps(document) + "\n" if arguments.json else said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
