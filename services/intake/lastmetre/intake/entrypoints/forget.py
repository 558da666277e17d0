"""The tool `forget`: contacts and texts of reports are erased from the vault.

Of one report, as its reporter may ask (PIPL article 47), or of all that are at their end and older
than the city may keep them. May be repeated and interrupted, and intake may run. What backups and
the broker's last files hold ends with them.
"""

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg

from lastmetre.common.case_numbers import read_case_number
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.intake.application.forget_reports import (
    ForgetOldReports,
    ForgetReport,
    Forgotten,
)
from lastmetre.intake.settings import DatabaseSettings


async def _run(arguments: argparse.Namespace) -> Forgotten | None:
    settings = DatabaseSettings()
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    try:
        if arguments.older_than_days is not None:
            before = datetime.now(UTC) - timedelta(days=arguments.older_than_days)
            return await ForgetOldReports(connection, dry_run=arguments.dry_run)(before)
        forget = ForgetReport(connection, dry_run=arguments.dry_run)
        if arguments.report is not None:
            return await forget(arguments.report)
        return await forget.numbered(read_case_number(arguments.number) or "")
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
